#include "dashboard/recent_requests.h"

#include <algorithm>

#include "base/utf8.h"

namespace payonce::dashboard {
namespace {

constexpr size_t kMaxModelBytes = 160;

}  // namespace

// Sequences of a later run are higher, so that a page that stayed open over a restart misses nothing and sees nothing
// twice. Below 2^53, for JavaScript.
RecentRequests::RecentRequests(int64_t now_ms)
    : first_(static_cast<uint64_t>(now_ms) * 1000), latest_(first_), ring_(kKept) {}

void RecentRequests::add(const Names& names, const Facts& facts) {
  const std::lock_guard lock(mutex_);
  const uint64_t sequence = latest_.load(std::memory_order_relaxed) + 1;
  RecentRequest& slot = ring_[sequence % kKept];
  slot.sequence = sequence;
  slot.facts = facts;
  slot.scope.assign(names.scope);
  slot.model.assign(base::beginning(names.model, kMaxModelBytes));
  slot.upstream.assign(names.upstream);
  last_hour_.add(facts.at_ms, {.hit = facts.outcome == "hit",
                               .failed = facts.status >= 400,
                               .usd = facts.usd,
                               .tokens = facts.input_tokens + facts.output_tokens,
                               .own_us = facts.own_us});
  latest_.store(sequence, std::memory_order_release);
}

std::vector<RecentRequest> RecentRequests::after(uint64_t sequence, size_t limit, const Viewer& viewer) const {
  std::vector<RecentRequest> out;
  if (latest() == sequence) return out;
  const std::lock_guard lock(mutex_);
  const uint64_t newest = latest_.load(std::memory_order_relaxed);
  if (sequence > newest) sequence = 0;
  const uint64_t oldest = std::max({sequence, first_, newest > kKept ? newest - kKept : 0}) + 1;
  for (uint64_t at = newest; at >= oldest && out.size() < limit; --at) {
    const RecentRequest& slot = ring_[at % kKept];
    if (viewer.all || slot.scope == viewer.scope) out.push_back(slot);
  }
  std::reverse(out.begin(), out.end());
  return out;
}

LastHour RecentRequests::last_hour() const {
  const std::lock_guard lock(mutex_);
  return last_hour_;
}

LastHour::Minute RecentRequests::this_minute(int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  return last_hour_.minute_of(now_ms);
}

}  // namespace payonce::dashboard
