// A provider's own account of a cache miss, out of its answer.  Threads: pure functions.
// Source: Anthropic's page on cache diagnostics (2026-09: `diagnostics.cache_miss_reason.type` of the message),
// OpenAI's on prompt cache diagnostics (2026-09: `prompt_cache_diagnostics` {type, reason} of the response). Requests
// must ask for both.
#pragma once

#include <boost/json/object.hpp>
#include <string>

namespace payonce::llm {

// Of a message, a response, a chat completion or a chunk of one. Tolerant: anything that is no such account, a hit or
// a comparison without a difference gives "". What is no short word ([a-z0-9_], at most kMaxMissReason_bytes) is
// "other".
std::string miss_reason(const boost::json::object& answer);

}  // namespace payonce::llm
