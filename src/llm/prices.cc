#include "llm/prices.h"

#include <boost/json.hpp>
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

}  // namespace

PriceTable PriceTable::built_in() {
  PriceTable table;
  const json::value root = json::parse(embedded_prices());
  for (const auto& [model, value] : root.at("models").as_object()) {
    const json::object& row = value.as_object();
    Price price;
    price.input = number_or(row, "in", 0);
    price.output = number_or(row, "out", 0);
    price.cache_read = number_or(row, "cache_read", price.input);
    price.cache_write_short = number_or(row, "cache_write", price.input);
    price.cache_write_long = number_or(row, "cache_write_1h", price.cache_write_short);
    table.set(std::string(model), price);
  }
  PAYONCE_ASSERT(!table.prices_.empty());
  return table;
}

void PriceTable::set(std::string model, Price price) { prices_[std::move(model)] = price; }

const Price* PriceTable::find(std::string_view model) const {
  while (true) {
    for (const std::string_view name : {model, without_date(model)})
      if (const auto it = prices_.find(name); it != prices_.end()) return &it->second;
    const size_t slash = model.find('/');
    if (slash == std::string_view::npos) return nullptr;
    model.remove_prefix(slash + 1);
  }
}

double PriceTable::cost_usd(std::string_view model, const Usage& usage) const {
  const Price* price = find(model);
  if (price == nullptr) return 0;
  const auto part = [](int64_t tokens, double per_million) {
    return static_cast<double>(tokens) * per_million / 1e6;
  };
  return part(usage.fresh, price->input) + part(usage.read, price->cache_read) +
         part(usage.write_short, price->cache_write_short) + part(usage.write_long, price->cache_write_long) +
         part(usage.output, price->output);
}

}  // namespace payonce::llm
