// data/providers.json → Provider rows. The file is ours and embedded, so a fault in it is a fault of the program: it
// ends at start, and the test that loads the table finds it first.
#include <boost/json.hpp>
#include <map>

#include "base/assert.h"
#include "llm/prices.h"
#include "prompt_cache/rules.h"

namespace payonce::prompt_cache {
namespace json = boost::json;

std::string_view embedded_providers();  // generated from data/providers.json

namespace {

std::string text_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? std::string() : std::string(value->as_string());
}

int64_t count_of(const json::object& from, std::string_view name, int64_t fallback = 0) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? fallback : value->as_int64();
}

double number_of(const json::object& from, std::string_view name, double fallback) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? fallback : value->to_number<double>();
}

bool flag_of(const json::object& from, std::string_view name, bool fallback = false) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? fallback : value->as_bool();
}

std::vector<std::string> texts_of(const json::object& from, std::string_view name) {
  std::vector<std::string> out;
  if (const json::value* values = from.if_contains(name))
    for (const json::value& value : values->as_array()) out.emplace_back(value.as_string());
  return out;
}

const json::object& object_of(const json::object& from, std::string_view name) {
  static const json::object kEmpty;
  const json::value* value = from.if_contains(name);
  return value == nullptr ? kEmpty : value->as_object();
}

// The word in the file → the value; another word than these is a fault of the file.
template <typename T>
T word_of(const json::object& from, std::string_view name, const std::map<std::string, T, std::less<>>& words,
          T fallback) {
  const std::string word = text_of(from, name);
  if (word.empty()) return fallback;
  const auto it = words.find(word);
  PAYONCE_ASSERT(it != words.end());
  return it->second;
}

template <typename T>
std::optional<T> optional_of(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  return value == nullptr ? std::nullopt : std::optional<T>(value->to_number<T>());
}

void read_breakpoints(const json::object& from, Provider& out) {
  out.max_breakpoints = count_of(from, "max");
  out.lookback = count_of(from, "lookback");
  out.long_first = flag_of(from, "long_first");
  out.surplus =
      word_of<Surplus>(from, "surplus", {{"error", Surplus::kError}, {"drop", Surplus::kDropOldest}}, out.surplus);
  out.lookback_of = word_of<LookbackOf>(
      from, "lookback_of", {{"positions", LookbackOf::kPositions}, {"message_ends", LookbackOf::kMessageEnds}},
      out.lookback_of);
  out.automatic = word_of<Automatic>(from, "automatic",
                                     {{"never", Automatic::kNever},
                                      {"on_request", Automatic::kOnRequest},
                                      {"implicit", Automatic::kImplicit},
                                      {"always", Automatic::kAlways}},
                                     out.automatic);
  out.marker = word_of<Marker>(from, "marker",
                               {{"none", Marker::kNone},
                                {"cache_control", Marker::kCacheControl},
                                {"prompt_cache_breakpoint", Marker::kPromptCacheBreakpoint},
                                {"cachePoint", Marker::kCachePoint},
                                {"cachedContent", Marker::kCachedContent}},
                               out.marker);
}

void read_ttls(const json::array& from, Provider& out) {
  for (const json::value& value : from) {
    const json::object& row = value.as_object();
    TtlClass ttl;
    ttl.name = text_of(row, "name");
    ttl.ttl_ms = count_of(row, "ttl_s") * 1000;
    ttl.max_age_ms = count_of(row, "max_age_s") * 1000;
    ttl.write_factor = number_of(row, "write", 1);
    const bool is_long = text_of(row, "class") == "long";
    if (flag_of(row, "default")) out.default_ttl = is_long ? Ttl::kLong : Ttl::kShort;
    (is_long ? out.long_ttl : out.short_ttl) = std::move(ttl);
  }
}

void read_models(const json::object& from, Provider& out) {
  if (const json::value* rows = from.if_contains("models"))
    for (const json::value& value : rows->as_array()) {
      const json::object& row = value.as_object();
      out.models.push_back({.pattern = text_of(row, "pattern"),
                            .min_tokens = optional_of<int64_t>(row, "min_tokens"),
                            .increment_tokens = optional_of<int64_t>(row, "increment"),
                            .read_factor = optional_of<double>(row, "read")});
    }
  if (const json::value* rows = from.if_contains("storage"))
    for (const json::value& value : rows->as_array()) {
      const json::object& row = value.as_object();
      StoragePrice price{.pattern = text_of(row, "pattern"), .from_ms = INT64_MIN, .usd_per_mtok_hour = 0};
      price.usd_per_mtok_hour = number_of(row, "usd_per_mtok_hour", 0);
      if (row.contains("from")) {
        const auto day = llm::day_unix_ms(text_of(row, "from"));
        PAYONCE_ASSERT(day);
        price.from_ms = *day;
      }
      out.storage.push_back(std::move(price));
    }
}

void read_objects(const json::object& from, Provider& out) {
  const json::object& routing = object_of(from, "routing");
  out.routing = {.field = text_of(routing, "field"),
                 .header = text_of(routing, "header"),
                 .separates = flag_of(routing, "separates"),
                 .required = flag_of(routing, "required")};
  const json::object& usage = object_of(from, "usage");
  out.usage = {.fresh = text_of(usage, "fresh"),
               .read = text_of(usage, "read"),
               .write = text_of(usage, "write"),
               .write_long = text_of(usage, "write_long"),
               .input_includes_cached = flag_of(usage, "input_includes_cached", true)};
  const json::object& invalidates = object_of(from, "invalidates");
  out.invalidates = {.all = texts_of(invalidates, "all"),
                     .system_and_messages = texts_of(invalidates, "system"),
                     .messages = texts_of(invalidates, "messages")};
  read_breakpoints(object_of(from, "breakpoints"), out);
}

Provider read_provider(const json::object& from) {
  Provider out;
  out.id = text_of(from, "id");
  out.name = text_of(from, "name");
  out.hosts = texts_of(from, "hosts");
  out.match = word_of<Match>(from, "match",
                             {{"written_positions", Match::kWrittenPositions},
                              {"longest_common_prefix", Match::kLongestCommonPrefix},
                              {"persisted_units", Match::kPersistedUnits},
                              {"none", Match::kNone}},
                             Match::kNone);
  for (const std::string& level : texts_of(from, "order"))
    out.order.push_back(level == "tools" ? Level::kTools : level == "system" ? Level::kSystem : Level::kMessages);
  out.min_tokens = count_of(from, "min_tokens");
  out.increment_tokens = count_of(from, "increment", 1);
  out.leave_tokens = count_of(from, "leave_tokens");
  out.interval_tokens = count_of(from, "interval_tokens");
  out.slots = count_of(from, "slots");
  out.read_factor = number_of(from, "read", 1);
  read_models(from, out);
  read_ttls(from.at("ttls").as_array(), out);
  out.refresh_on_hit = flag_of(from, "refresh_on_hit", true);
  out.bills_writes = text_of(from, "writes") == "billed";
  out.caches_answers = flag_of(from, "caches_answers");
  out.visible = text_of(from, "visible") == "after_answer" ? Visible::kAfterAnswer : Visible::kFirstByte;
  read_objects(from, out);
  out.rate_per_minute = count_of(from, "rate_per_minute");
  out.isolation = text_of(from, "isolation");
  out.alternative = text_of(from, "alternative");
  out.as_of = text_of(from, "as_of");
  out.assumed = texts_of(from, "assumed");
  out.notes = texts_of(from, "notes");
  out.sources = texts_of(from, "sources");
  return out;
}

// `row` over the row that it inherits from. Models: its own come first; an empty list means none at all. What is said
// about one surface alone (hosts, sources, …) is not inherited.
json::object merged(json::object base, const json::object& row) {
  for (const char* own : {"hosts", "alternative", "assumed", "notes", "sources", "inherits"}) base.erase(own);
  json::array models = base.contains("models") ? base.at("models").as_array() : json::array();
  for (const auto& [name, value] : row) base[name] = value;
  if (const json::value* own = row.if_contains("models")) {
    if (own->as_array().empty()) models.clear();
    models.insert(models.begin(), own->as_array().begin(), own->as_array().end());
  }
  base["models"] = std::move(models);
  return base;
}

}  // namespace

const Providers& Providers::built_in() {
  static const Providers kProviders = [] {
    Providers out;
    std::map<std::string, json::object, std::less<>> rows;
    const json::value root = json::parse(embedded_providers());
    for (const json::value& value : root.at("providers").as_array()) {
      json::object row = value.as_object();
      if (const std::string base = text_of(row, "inherits"); !base.empty()) row = merged(rows.at(base), row);
      out.rows_.push_back(read_provider(row));
      rows[out.rows_.back().id] = std::move(row);
    }
    return out;
  }();
  return kProviders;
}

}  // namespace payonce::prompt_cache
