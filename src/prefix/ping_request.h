// The cheapest request that reads what an earlier one wrote or read in a provider's prompt cache: the same tools,
// system text and messages up to the last mark, the same marks and parameters, and no answer.
// Threads: pure functions.
// Source: Anthropic's page on prompt caching (2026-08): `max_tokens: 0` computes the prefix and answers with nothing;
// it is refused with `stream`, with thinking, with `output_config.format` and with a tool that is forced.
#pragma once

#include <optional>
#include <string>

#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

// `sent`: as it went out, in Anthropic's dialect. With "max_tokens": 0, or 1 where 0 is refused. Nothing where a ping
// would be no ping: no mark of the short TTL is the last one, a thinking budget would have to be spent, or something
// beyond the model would be set to work (MCP servers, containers, edits of the context).
std::optional<std::string> ping_request(const Prompt& sent);

}  // namespace payonce::prefix
