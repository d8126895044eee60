#include "engine/api/cache_control.h"

#include <fmt/format.h>

#include <algorithm>

namespace payonce::engine {

std::optional<int64_t> read_cache_control(Fields& fields) {
  const boost::json::object* control = fields.object("cache_control");
  if (control == nullptr) {
    if (fields.object("prompt_cache_breakpoint") == nullptr) return std::nullopt;
    return kBreakpointTtl_s;
  }
  Fields inner(*control, fields.path("cache_control"));
  const auto type = inner.text("type");
  if (inner.ok() && type != "ephemeral") inner.refuse("type", "must be \"ephemeral\"");
  const auto ttl = inner.text("ttl");
  if (inner.ok() && ttl && *ttl != "5m" && *ttl != "1h") inner.refuse("ttl", "must be \"5m\" or \"1h\"");
  if (!inner.ok()) fields.refuse(inner.status().error());
  return ttl == "1h" ? kLongTtl_s : kShortTtl_s;
}

base::Status check_marks(const Conversation& conversation, size_t most) {
  if (conversation.cuts.size() > most)
    return base::fail(base::Code::kInvalid,
                      fmt::format("A maximum of {} blocks with cache_control may be provided. Found {}.", most,
                                  conversation.cuts.size()));
  bool short_seen = false;
  for (const Cut& cut : conversation.cuts) {
    if (cut.ttl_s == kLongTtl_s && short_seen)
      return base::fail(
          base::Code::kInvalid,
          "a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block. Note that "
          "blocks are processed in the following order: `tools`, `system`, `messages`.");
    short_seen = short_seen || cut.ttl_s == kShortTtl_s;
  }
  return {};
}

Written split_written(const std::vector<CacheMark>& marks, int64_t written_tokens) {
  if (marks.empty() || written_tokens <= 0) return {.short_tokens = std::max<int64_t>(written_tokens, 0)};
  int64_t last_long = 0;
  for (const CacheMark& mark : marks)
    if (mark.ttl_s > kShortTtl_s) last_long = std::max<int64_t>(last_long, mark.tokens);
  const int64_t first_written = marks.back().tokens - written_tokens;
  const int64_t written_long = std::clamp<int64_t>(last_long - first_written, 0, written_tokens);
  return {.short_tokens = written_tokens - written_long, .long_tokens = written_long};
}

}  // namespace payonce::engine
