#include "prefix/breakpoints.h"

#include <algorithm>

namespace payonce::prefix {

MarkerSpelling spelling_of(const prompt_cache::Rule& rule) {
  const bool has_long = rule.provider->long_ttl.has_value();
  switch (rule.provider->marker) {
    case prompt_cache::Marker::kCacheControl:
      return {"cache_control", R"({"type":"ephemeral"})", has_long ? R"({"type":"ephemeral","ttl":"1h"})" : ""};
    case prompt_cache::Marker::kPromptCacheBreakpoint:
      return {"prompt_cache_breakpoint", R"({"mode":"explicit"})", ""};
    case prompt_cache::Marker::kNone:
    case prompt_cache::Marker::kCachePoint:     // of a dialect that passes through
    case prompt_cache::Marker::kCachedContent:  // a resource of its own, no mark
      break;
  }
  return {};
}

Legal legal_of(const prompt_cache::Rule& rule, const Prompt& prompt) {
  Legal out{.max_marks = rule.provider->max_breakpoints,
            .min_tokens = rule.min_tokens,
            .has_long = rule.provider->long_ttl.has_value()};
  const bool sets_its_own =
      rule.provider->automatic == prompt_cache::Automatic::kImplicit ||
      (rule.provider->automatic == prompt_cache::Automatic::kOnRequest && prompt.automatic != Marker::kNone);
  if (sets_its_own) --out.max_marks;
  return out;
}

std::vector<Mark> place(const Prompt& prompt, const std::vector<SentBlock>& sent, std::vector<Wanted> wanted,
                        const Legal& legal) {
  std::stable_sort(wanted.begin(), wanted.end(), [](const Wanted& a, const Wanted& b) { return a.worth > b.worth; });
  std::vector<Wanted> taken;
  for (Wanted want : wanted) {
    if (static_cast<int64_t>(taken.size()) >= legal.max_marks) break;
    while (want.sent > 0 && !prompt.blocks[sent[want.sent].block].markable) --want.sent;
    if (!prompt.blocks[sent[want.sent].block].markable || sent[want.sent].tokens_through < legal.min_tokens) continue;
    const bool there =
        std::any_of(taken.begin(), taken.end(), [&](const Wanted& other) { return other.sent == want.sent; });
    if (!there) taken.push_back(want);
  }
  std::sort(taken.begin(), taken.end(), [](const Wanted& a, const Wanted& b) { return a.sent < b.sent; });
  std::vector<Mark> out;
  bool short_before = false;
  for (const Wanted& want : taken) {
    const bool is_long = want.ttl == Marker::kLong && legal.has_long && !short_before;
    short_before = short_before || !is_long;
    out.push_back({.block = sent[want.sent].block, .ttl = is_long ? Marker::kLong : Marker::kShort});
  }
  return out;
}

}  // namespace payonce::prefix
