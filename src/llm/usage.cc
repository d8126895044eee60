#include "llm/usage.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <string_view>

namespace payonce::llm {
namespace json = boost::json;
namespace {

int64_t count(const json::object& from, std::string_view name) {
  const json::value* value = from.if_contains(name);
  if (value == nullptr) return 0;
  boost::system::error_code error;
  const auto number = value->to_number<int64_t>(error);
  return error ? 0 : std::max<int64_t>(0, number);
}

bool says(const json::object& from, std::string_view details, std::string_view name) {
  const json::value* value = from.if_contains(details);
  return value != nullptr && value->is_object() && value->get_object().contains(name);
}

int64_t count_in(const json::object& from, std::string_view details, std::string_view name) {
  const json::value* value = from.if_contains(details);
  return value != nullptr && value->is_object() ? count(value->get_object(), name) : 0;
}

}  // namespace

Usage openai_usage(const json::object& usage) {
  Usage out;
  const bool responses = usage.contains("input_tokens");
  const std::string_view details = responses ? "input_tokens_details" : "prompt_tokens_details";
  const int64_t input = count(usage, responses ? "input_tokens" : "prompt_tokens");
  out.output = count(usage, responses ? "output_tokens" : "completion_tokens");
  out.read =
      std::min(input, std::max(count_in(usage, details, "cached_tokens"), count(usage, "prompt_cache_hit_tokens")));
  out.write_short = std::min(input - out.read, count_in(usage, details, "cache_write_tokens"));
  out.fresh = input - out.read - out.write_short;
  out.read_known = says(usage, details, "cached_tokens") || usage.contains("prompt_cache_hit_tokens");
  out.known = responses || usage.contains("prompt_tokens");
  return out;
}

Usage anthropic_usage(const json::object& usage) {
  Usage out;
  out.fresh = count(usage, "input_tokens");
  out.read = count(usage, "cache_read_input_tokens");
  const int64_t written = count(usage, "cache_creation_input_tokens");
  out.write_long = std::min(written, count_in(usage, "cache_creation", "ephemeral_1h_input_tokens"));
  out.write_short = written - out.write_long;
  out.output = count(usage, "output_tokens");
  out.read_known = usage.contains("cache_read_input_tokens");
  out.known = usage.contains("output_tokens") || usage.contains("input_tokens");
  return out;
}

Usage gemini_usage(const json::object& usage) {
  Usage out;
  const int64_t input = count(usage, "promptTokenCount");
  out.read = std::min(input, count(usage, "cachedContentTokenCount"));
  out.fresh = input - out.read + count(usage, "toolUsePromptTokenCount");
  out.output = count(usage, "candidatesTokenCount") + count(usage, "thoughtsTokenCount");
  out.read_known = usage.contains("cachedContentTokenCount");
  out.known = usage.contains("promptTokenCount");
  return out;
}

}  // namespace payonce::llm
