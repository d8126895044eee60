// Token counts of any spelling as llm::Usage, whose four classes do not overlap.  Threads: pure functions.
// Anthropic and Bedrock do not count cached tokens as input; OpenAI, Gemini, OpenTelemetry and LiteLLM do. Which one
// a usage object is, its own member names tell.
#pragma once

#include "history/json.h"
#include "llm/response.h"

namespace payonce::history {

// prompt_tokens…: OpenAI chat, LiteLLM, DeepSeek; input_tokens…: Anthropic, OpenAI responses; inputTokens…: Bedrock;
// promptTokenCount…: Gemini. Nothing known: usage.known is false.
llm::Usage usage_of(const Json& usage);
// A count of tokens: 0 for what is none, at most 10^12, so that sums do not overflow.
int64_t count_of(const Json& from);
// From counts of which `input` includes what was read and written; a 1 h share of the written is given apart.
llm::Usage inclusive_usage(int64_t input, int64_t read, int64_t written, int64_t written_long, int64_t output);

}  // namespace payonce::history
