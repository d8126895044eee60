#include "llm/miss_reason.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <string_view>

#include "base/ascii.h"
#include "llm/codec.h"
#include "llm/response.h"

namespace payonce::llm {
namespace json = boost::json;
namespace {

bool is_word(std::string_view text) {
  return text.size() <= kMaxMissReason_bytes && std::all_of(text.begin(), text.end(), [](char c) {
           return base::is_lower(c) || base::is_digit(c) || c == '_';
         });
}

// A text, or an object that says it as `reason` or, without one, as `type`.
std::string_view said(const json::value& value) {
  if (value.is_string()) return value.get_string();
  const json::object* object = value.if_object();
  if (object == nullptr) return {};
  if (const json::value* reason = object->if_contains("reason"))
    if (const std::string_view text = said(*reason); !text.empty()) return text;
  return codec::text_of(*object, "type");
}

}  // namespace

std::string miss_reason(const json::object& answer) {
  std::string_view found;
  if (const json::object* diagnostics = codec::object_of(answer, "diagnostics"))
    if (const json::value* reason = diagnostics->if_contains("cache_miss_reason")) found = said(*reason);
  if (found.empty())
    if (const json::value* diagnostics = answer.if_contains("prompt_cache_diagnostics")) found = said(*diagnostics);
  if (found.empty() || found == "cache_hit") return {};
  return is_word(found) ? std::string(found) : "other";
}

}  // namespace payonce::llm
