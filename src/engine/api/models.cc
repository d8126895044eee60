#include "engine/api/models.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>

namespace payonce::engine {
namespace {
namespace json = boost::json;

// OpenAI reads object, created and owned_by; Anthropic type, display_name and created_at.
json::object model_object(const ModelInfo& model, const base::Clock& clock) {
  const std::time_t now = static_cast<std::time_t>(clock.unix_s());
  return {{"id", model.name},
          {"object", "model"},
          {"created", clock.unix_s()},
          {"owned_by", "payonce"},
          {"type", "model"},
          {"display_name", model.name},
          {"created_at", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))}};
}

}  // namespace

std::string model_json(const ModelInfo& model, const base::Clock& clock) {
  return json::serialize(model_object(model, clock));
}

std::string models_json(const ModelInfo& model, const base::Clock& clock) {
  return json::serialize(json::object{{"object", "list"},
                                      {"data", json::array{model_object(model, clock)}},
                                      {"has_more", false},
                                      {"first_id", model.name},
                                      {"last_id", model.name}});
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    unsigned value = 0;
    const bool escape = text[0] == '%' && text.size() >= 3;
    const auto parsed =
        escape ? std::from_chars(text.data() + 1, text.data() + 3, value, 16) : std::from_chars_result{};
    const bool whole = escape && parsed.ec == std::errc() && parsed.ptr == text.data() + 3;
    out += whole ? static_cast<char>(value) : text[0];
    text.remove_prefix(whole ? 3 : 1);
  }
  return out;
}

}  // namespace payonce::engine
