// Token counts out of a provider's `usage` object.  Threads: pure functions.
#pragma once

#include <boost/json/object.hpp>

#include "llm/response.h"

namespace payonce::llm {

// OpenAI chat, completions, embeddings: prompt_tokens (all input), prompt_tokens_details.cached_tokens; DeepSeek's
// prompt_cache_hit_tokens. OpenAI responses: input_tokens, input_tokens_details.
Usage openai_usage(const boost::json::object& usage);
// Anthropic: input_tokens (uncached only), cache_read_input_tokens, cache_creation_input_tokens,
// cache_creation{…_5m_…, …_1h_…}.
Usage anthropic_usage(const boost::json::object& usage);
// Gemini's usageMetadata: promptTokenCount (cachedContentTokenCount of them read) and toolUsePromptTokenCount;
// candidatesTokenCount and thoughtsTokenCount.
Usage gemini_usage(const boost::json::object& usage);

}  // namespace payonce::llm
