// The rules of breakpoints: which marks count, where entries are looked for, what is read and written, and why not.
#include <fmt/format.h>

#include <algorithm>

#include "prompt_cache/simulator.h"

namespace payonce::prompt_cache {

// The mark that the provider sets itself. On Anthropic it stands after the last block that can carry one and takes
// one of the slots; on OpenAI at the end of the latest user or tool message.
base::Result<void> Simulator::add_automatic(const SimRequest& request, const Rule& rule,
                                            std::vector<Mark>& marks) const {
  const bool implicit = provider_.automatic == Automatic::kImplicit;
  if (!request.automatic || (!implicit && provider_.automatic != Automatic::kOnRequest)) return {};
  Mark mark{.block = request.blocks.size(), .ttl = request.automatic_ttl, .implicit = implicit};
  if (mark.ttl == Ttl::kNone) mark.ttl = rule.default_ttl;
  for (size_t i = request.blocks.size(); i > 0; --i) {
    const SimBlock& block = request.blocks[i - 1];
    if (!block.markable || (implicit && (!block.message_end || block.level != Level::kMessages))) continue;
    mark.block = i - 1;
    break;
  }
  if (mark.block == request.blocks.size()) return {};
  const auto same = std::find_if(marks.begin(), marks.end(), [&](const Mark& m) { return m.block == mark.block; });
  if (same == marks.end()) {
    marks.push_back(mark);
    std::sort(marks.begin(), marks.end(), [](const Mark& a, const Mark& b) { return a.block < b.block; });
  } else if (!implicit && same->ttl != mark.ttl) {
    return base::fail(base::Code::kInvalid,
                      fmt::format("block {} carries a mark of another TTL than the automatic one", mark.block));
  }
  return {};
}

base::Result<std::vector<Simulator::Mark>> Simulator::marks_of(const SimRequest& request, const Rule& rule) const {
  std::vector<Mark> marks;
  for (size_t i = 0; i < request.blocks.size(); ++i) {
    const SimBlock& block = request.blocks[i];
    if (block.mark == Ttl::kNone) continue;
    if (!block.markable)
      return base::fail(base::Code::kInvalid, fmt::format("block {} cannot carry a breakpoint", i));
    marks.push_back({.block = i, .ttl = block.mark});
  }
  if (auto added = add_automatic(request, rule, marks); !added) return tl::unexpected(added.error());
  if (provider_.surplus == Surplus::kError && std::cmp_greater(marks.size(), provider_.max_breakpoints))
    return base::fail(base::Code::kInvalid, fmt::format("{} breakpoints, at most {} at {}", marks.size(),
                                                        provider_.max_breakpoints, provider_.id));
  for (size_t i = 1; provider_.long_first && i < marks.size(); ++i)
    if (marks[i].ttl == Ttl::kLong && marks[i - 1].ttl == Ttl::kShort)
      return base::fail(base::Code::kInvalid,
                        fmt::format("block {}: a {} breakpoint after a {} one; the longer must come first",
                                    marks[i].block, rule.long_ttl.name, rule.short_ttl.name));
  return marks;
}

// The steps at which entries are looked for: the look-back of each mark that is long enough; on OpenAI the marks
// themselves and, when the request does not mark alone, the latest ends of messages.
std::vector<bool> Simulator::candidates(const SimRequest& request, const std::vector<Mark>& marks) const {
  std::vector<bool> out(prompt_steps_);
  for (const Mark& mark : marks) out[mark.block] = true;
  if (provider_.lookback_of == LookbackOf::kPositions) {
    for (const Mark& mark : marks)
      for (size_t back = 0; back <= mark.block && std::cmp_less(back, provider_.lookback); ++back)
        out[mark.block - back] = true;
  } else if (request.automatic) {
    int64_t left = provider_.lookback;
    for (size_t i = prompt_steps_; i > 0 && left > 0; --i)
      if (request.blocks[i - 1].message_end) {
        out[i - 1] = true;
        --left;
      }
  }
  return out;
}

size_t Simulator::find_written(const SimRequest& request, const std::vector<bool>& candidates,
                               bool sees_implicit) const {
  for (size_t i = prompt_steps_; i > 0; --i) {
    if (!candidates[i - 1]) continue;
    const Position* position = positions_.find(path_[i - 1].hash);
    if (position != nullptr && alive(*position, request.at_ms) && position->readable_ms <= request.at_ms &&
        (sees_implicit || !position->implicit))
      return i;
  }
  return 0;
}

// Why not more was read than the first `hit` steps: the deepest entry beyond them tells, else where the prompts part.
Miss Simulator::explain(const SimRequest& request, const Billed& billed, size_t hit) const {
  if (billed.common_blocks == 0) return Miss::kCold;
  for (size_t i = billed.common_blocks; i > hit; --i) {
    const Position* position = positions_.find(path_[i - 1].hash);
    if (position == nullptr || !position->written) continue;
    if (!alive(*position, request.at_ms)) return Miss::kExpired;
    return position->readable_ms > request.at_ms ? Miss::kNotReadable : Miss::kOutsideLookback;
  }
  if (billed.expected > billed.common) return Miss::kChanged;
  return hit == 0 ? Miss::kUnwritten : Miss::kNone;
}

void Simulator::run_written(const SimRequest& request, const Rule& rule, const std::vector<Mark>& marks,
                            Billed& out) {
  const int64_t total = path_[prompt_steps_ - 1].tokens;
  std::vector<Mark> valid;  // a prefix below the minimum is neither written nor looked up, without a word
  for (const Mark& mark : marks)
    if (path_[mark.block].tokens >= rule.min_tokens) valid.push_back(mark);
  out.fresh = total;
  if (valid.empty()) {
    out.miss = marks.empty() ? Miss::kUnmarked : Miss::kBelowMinimum;
    return;
  }
  const size_t hit = find_written(request, candidates(request, valid), request.automatic);
  out.miss = explain(request, out, hit);
  out.read = hit == 0 ? 0 : path_[hit - 1].tokens;
  // Surplus marks are dropped without a word, the oldest first; they could still be read at.
  if (std::cmp_greater(valid.size(), provider_.max_breakpoints))
    valid.erase(valid.begin(), valid.end() - provider_.max_breakpoints);
  int64_t upto = out.read;
  for (const Mark& mark : valid) {
    const int64_t tokens = path_[mark.block].tokens;
    if (tokens <= upto) continue;
    // Long marks stand first, so that what is up to the last of them is long (B − A), the rest short (C − B).
    const bool is_long = provider_.long_ttl && (mark.ttl == Ttl::kLong || !provider_.short_ttl);
    (is_long ? out.write_long : out.write_short) += tokens - upto;
    upto = tokens;
  }
  out.fresh = total - upto;
  if (hit > 0 && provider_.refresh_on_hit) {
    const Position* position = positions_.find(path_[hit - 1].hash);
    write(request, rule, path_[hit - 1], position->ttl, position->implicit);
  }
  for (const Mark& mark : valid) write(request, rule, path_[mark.block], mark.ttl, mark.implicit);
}

}  // namespace payonce::prompt_cache
