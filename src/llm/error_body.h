// Error bodies in the shape of the dialect that was called, so that the official SDKs raise their own typed errors.
#pragma once

#include <string>
#include <string_view>

#include "llm/dialect.h"

namespace payonce::llm {

// OpenAI: {"error":{"message","type","param":null,"code"}}; Anthropic: {"type":"error","error":{"type","message"}}.
std::string error_body(Dialect dialect, int status, std::string_view message);
// The same as one event of a stream that already began (OpenAI: data: {"error":…}; Anthropic: event: error).
std::string error_event(Dialect dialect, int status, std::string_view message);

}  // namespace payonce::llm
