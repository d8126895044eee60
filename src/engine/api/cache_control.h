// `cache_control` marks, as Anthropic defines them (docs.anthropic.com, prompt caching, 2026-11); content parts and
// tools of the OpenAI dialects may carry them too.  Threads: pure functions. What is wrong is kept in `fields`.
#pragma once

#include <optional>

#include "base/result.h"
#include "engine/api/conversation.h"
#include "engine/api/json_fields.h"

namespace payonce::engine {

inline constexpr int64_t kShortTtl_s = 300;
inline constexpr int64_t kLongTtl_s = 3600;
inline constexpr int64_t kBreakpointTtl_s = 1800;  // "30m", the one TTL of OpenAI's prompt_cache_options

// The TTL of the object's own mark: its cache_control, or a prompt_cache_breakpoint, as OpenAI calls the same; none:
// it has none.
std::optional<int64_t> read_cache_control(Fields& fields);
// At most `most` marks, and none with the long TTL behind one with the short.
base::Status check_marks(const Conversation& conversation, size_t most);

// How Anthropic's usage splits the tokens that were written: those up to the last mark of the long TTL, and the rest.
struct Written {
  int64_t short_tokens = 0;
  int64_t long_tokens = 0;
};
Written split_written(const std::vector<CacheMark>& marks, int64_t written_tokens);

}  // namespace payonce::engine
