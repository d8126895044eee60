#include "llm/prices.h"

#include <boost/json.hpp>
#include <charconv>
#include <chrono>
#include <utility>

#include "base/assert.h"

namespace payonce::llm {
namespace json = boost::json;

std::string_view embedded_prices();  // generated from data/prices.json

namespace {

double number_or(const json::object& row, std::string_view name, double fallback) {
  const json::value* value = row.if_contains(name);
  return value != nullptr && value->is_number() ? value->to_number<double>() : fallback;
}

bool is_digits(std::string_view text) { return text.find_first_not_of("0123456789") == std::string_view::npos; }

// "gpt-4o-2024-08-06" → "gpt-4o"; "claude-haiku-4-5-20251001" → "claude-haiku-4-5"; else unchanged.
std::string_view without_date(std::string_view model) {
  if (model.size() > 9 && model[model.size() - 9] == '-' && is_digits(model.substr(model.size() - 8)))
    return model.substr(0, model.size() - 9);
  if (model.size() > 11) {
    const std::string_view date = model.substr(model.size() - 11);
    if (date[0] == '-' && date[5] == '-' && date[8] == '-' && is_digits(date.substr(1, 4)) &&
        is_digits(date.substr(6, 2)) && is_digits(date.substr(9)))
      return model.substr(0, model.size() - 11);
  }
  return model;
}

// What a row leaves out follows from what it has: reads and writes cost the input price where no other is known.
Price read_price(const json::object& row) {
  Price price;
  price.input = number_or(row, "in", 0);
  price.output = number_or(row, "out", 0);
  price.cache_read = number_or(row, "cache_read", price.input);
  price.cache_write_short = number_or(row, "cache_write", price.input);
  price.cache_write_long = number_or(row, "cache_write_1h", price.cache_write_short);
  return price;
}

double ratio(double part, double whole) { return whole > 0 ? part / whole : 1; }

// A tier names some of its prices; the others keep their proportion to the input price.
Price read_tier(const json::object& row, const Price& standard) {
  Price price;
  price.input = number_or(row, "in", standard.input);
  price.output = number_or(row, "out", standard.output);
  const double input = ratio(price.input, standard.input);
  price.cache_read = number_or(row, "cache_read", standard.cache_read * input);
  price.cache_write_short = number_or(row, "cache_write", standard.cache_write_short * input);
  price.cache_write_long = number_or(row, "cache_write_1h", standard.cache_write_long * input);
  return price;
}

PriceRow read_row(const json::object& row) {
  PriceRow out;
  out.standard = read_price(row);
  if (const json::value* tiers = row.if_contains("tiers"))
    for (const json::value& tier : tiers->as_array())
      out.tiers.push_back(
          {.above_tokens = tier.at("above").as_int64(), .price = read_tier(tier.as_object(), out.standard)});
  const Price& standard = out.standard;
  Price& batch = out.batch_factor;
  batch.input = ratio(number_or(row, "in_batch", standard.input), standard.input);
  batch.output = ratio(number_or(row, "out_batch", standard.output), standard.output);
  batch.cache_read =
      ratio(number_or(row, "cache_read_batch", standard.cache_read * batch.input), standard.cache_read);
  batch.cache_write_short = batch.cache_write_long = batch.input;
  out.us_only_factor = number_or(row, "us_only", 1);
  return out;
}

// The row, then one more for each announced change: {"from": day, and the fields that change}.
std::vector<PriceRow> read_rows(json::object row) {
  std::vector<PriceRow> out = {read_row(row)};
  const json::value changes = row.contains("changes") ? row.at("changes") : json::array();
  for (const json::value& change : changes.as_array()) {
    for (const auto& [name, value] : change.as_object())
      if (name != "from") row[name] = value;
    if (change.as_object().contains("cache_read")) row.erase("cache_read_batch");  // follows the input's discount
    const auto from = day_unix_ms(change.at("from").as_string());
    PAYONCE_ASSERT(from && *from > out.back().from_ms);
    out.push_back(read_row(row));
    out.back().from_ms = *from;
  }
  return out;
}

Price times(const Price& price, const Price& factor) {
  return {.input = price.input * factor.input,
          .output = price.output * factor.output,
          .cache_read = price.cache_read * factor.cache_read,
          .cache_write_short = price.cache_write_short * factor.cache_write_short,
          .cache_write_long = price.cache_write_long * factor.cache_write_long};
}

}  // namespace

base::Result<int64_t> day_unix_ms(std::string_view date) {
  int year = 0;
  unsigned month = 0, day = 0;
  const auto part = [&](size_t at, size_t size, auto& out) {
    const char* end = date.data() + at + size;
    return std::from_chars(date.data() + at, end, out).ptr == end;
  };
  if (date.size() == 10 && date[4] == '-' && date[7] == '-' && part(0, 4, year) && part(5, 2, month) &&
      part(8, 2, day)) {
    const std::chrono::year_month_day ymd{std::chrono::year{year}, std::chrono::month{month}, std::chrono::day{day}};
    if (ymd.ok()) return std::chrono::milliseconds(std::chrono::sys_days{ymd}.time_since_epoch()).count();
  }
  return base::fail(base::Code::kInvalid, "expected a day as YYYY-MM-DD, found '" + std::string(date) + "'");
}

double Price::input_usd(const Usage& usage) const {
  const auto part = [](int64_t tokens, double per_million) {
    return static_cast<double>(tokens) * per_million / 1e6;
  };
  return part(usage.fresh, input) + part(usage.read, cache_read) + part(usage.write_short, cache_write_short) +
         part(usage.write_long, cache_write_long);
}

double Price::usd(const Usage& usage) const {
  return input_usd(usage) + static_cast<double>(usage.output) * output / 1e6;
}

Price PriceRow::at(int64_t input_tokens, PriceModifiers modifiers) const {
  Price out = standard;
  for (const Tier& tier : tiers)
    if (input_tokens > tier.above_tokens) out = tier.price;
  if (modifiers.batch) out = times(out, batch_factor);
  if (modifiers.us_only)
    out = times(out, {us_only_factor, us_only_factor, us_only_factor, us_only_factor, us_only_factor});
  return out;
}

PriceTable PriceTable::built_in() {
  PriceTable table;
  const json::value root = json::parse(embedded_prices());
  for (const auto& [model, value] : root.at("models").as_object())
    table.prices_[std::string(model)] = read_rows(value.as_object());
  PAYONCE_ASSERT(!table.prices_.empty());
  return table;
}

std::vector<std::string> PriceTable::models() const {
  std::vector<std::string> out;
  out.reserve(prices_.size());
  for (const auto& [model, rows] : prices_) out.push_back(model);
  return out;
}

void PriceTable::set(std::string model, Price price) {
  PriceRow row;
  row.standard = price;
  prices_[std::move(model)] = {std::move(row)};
}

const PriceRow* PriceTable::find(std::string_view model, int64_t unix_ms) const {
  while (true) {
    for (const std::string_view name : {model, without_date(model)})
      if (const auto it = prices_.find(name); it != prices_.end()) {
        const PriceRow* found = &it->second.front();
        for (const PriceRow& row : it->second)
          if (row.from_ms <= unix_ms) found = &row;
        return found;
      }
    const size_t slash = model.find('/');
    if (slash == std::string_view::npos) return nullptr;
    model.remove_prefix(slash + 1);
  }
}

double PriceTable::cost_usd(std::string_view model, const Usage& usage, int64_t unix_ms,
                            PriceModifiers modifiers) const {
  const PriceRow* row = find(model, unix_ms);
  if (row == nullptr) return 0;
  return row->at(usage.input(), modifiers).usd(usage);
}

}  // namespace payonce::llm
