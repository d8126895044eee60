#include "history/usage.h"

#include <algorithm>

namespace payonce::history {
namespace {

constexpr int64_t kMaxTokens = 1'000'000'000'000;

int64_t count(const Json& from) { return count_of(from); }

// Anthropic's cache_creation, and LiteLLM's copy of it.
int64_t long_share(const Json& split) { return count(split["ephemeral_1h_input_tokens"]); }

llm::Usage prompt_tokens(const Json& usage) {
  const Json details = usage["prompt_tokens_details"];
  const Json read = details["cached_tokens"] ? details["cached_tokens"]
                                             : usage.first({"prompt_cache_hit_tokens", "cache_read_input_tokens"});
  const Json written = details.first({"cache_creation_tokens", "cache_write_tokens"});
  llm::Usage out =
      inclusive_usage(count(usage["prompt_tokens"]), std::max(count(read), count(usage["prompt_cache_hit_tokens"])),
                      count(written ? written : usage["cache_creation_input_tokens"]),
                      long_share(details["cache_creation_token_details"]), count(usage["completion_tokens"]));
  out.read_known = bool(read);
  return out;
}

llm::Usage input_tokens(const Json& usage) {
  const Json read = usage["cache_read_input_tokens"];
  const Json details = usage["input_tokens_details"];
  if (details || (!read && !usage["cache_creation_input_tokens"])) {
    llm::Usage out = inclusive_usage(count(usage["input_tokens"]), count(details["cached_tokens"]),
                                     count(details["cache_write_tokens"]), 0, count(usage["output_tokens"]));
    out.read_known = bool(details["cached_tokens"]);
    return out;
  }
  llm::Usage out;
  out.fresh = count(usage["input_tokens"]);
  out.read = count(read);
  const int64_t written = count(usage["cache_creation_input_tokens"]);
  out.write_long = std::min(written, long_share(usage["cache_creation"]));
  out.write_short = written - out.write_long;
  out.output = count(usage["output_tokens"]);
  out.known = true;
  out.read_known = bool(read);
  return out;
}

llm::Usage bedrock(const Json& usage) {
  llm::Usage out;
  out.fresh = count(usage["inputTokens"]);
  out.read = count(usage.first({"cacheReadInputTokens", "cacheReadInputTokenCount"}));
  out.write_short = count(usage.first({"cacheWriteInputTokens", "cacheWriteInputTokenCount"}));
  out.output = count(usage["outputTokens"]);
  out.known = true;
  out.read_known = bool(usage["cacheReadInputTokens"]);
  return out;
}

llm::Usage gemini(const Json& usage) {
  llm::Usage out = inclusive_usage(count(usage["promptTokenCount"]) + count(usage["toolUsePromptTokenCount"]),
                                   count(usage["cachedContentTokenCount"]), 0, 0,
                                   count(usage["candidatesTokenCount"]) + count(usage["thoughtsTokenCount"]));
  out.read_known = bool(usage["cachedContentTokenCount"]);
  return out;
}

}  // namespace

int64_t count_of(const Json& from) { return std::clamp<int64_t>(from.integer(), 0, kMaxTokens); }

llm::Usage inclusive_usage(int64_t input, int64_t read, int64_t written, int64_t written_long, int64_t output) {
  llm::Usage out;
  out.read = std::clamp<int64_t>(read, 0, std::max<int64_t>(input, 0));
  const int64_t rest = std::max<int64_t>(input, 0) - out.read;
  const int64_t all_written = std::clamp<int64_t>(written, 0, rest);
  out.write_long = std::clamp<int64_t>(written_long, 0, all_written);
  out.write_short = all_written - out.write_long;
  out.fresh = rest - all_written;
  out.output = std::max<int64_t>(output, 0);
  out.known = true;
  return out;
}

llm::Usage usage_of(const Json& usage) {
  if (usage["prompt_tokens"]) return prompt_tokens(usage);
  if (usage["input_tokens"]) return input_tokens(usage);
  if (usage["inputTokens"]) return bedrock(usage);
  if (usage["promptTokenCount"]) return gemini(usage);
  return {};
}

}  // namespace payonce::history
