#include "engine/api/models.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>

namespace payonce::engine {
namespace {
namespace json = boost::json;

// OpenAI reads object, created and owned_by; Anthropic the rest.
json::object model_object(const ModelInfo& model, int64_t created_s, int32_t context_tokens) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", created_s},
          {"owned_by", "payonce"},
          {"type", "model"},
          {"display_name", model.name},
          {"lifecycle", "active"},
          {"max_input_tokens", context_tokens},
          {"max_tokens", context_tokens},
          {"created_at", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(created_s)))}};
}

}  // namespace

std::string model_json(const ModelInfo& model, int64_t created_s, int32_t context_tokens) {
  return json::serialize(model_object(model, created_s, context_tokens));
}

std::string models_json(const ModelInfo& model, int64_t created_s, int32_t context_tokens) {
  return json::serialize(json::object{{"object", "list"},
                                      {"data", json::array{model_object(model, created_s, context_tokens)}},
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
