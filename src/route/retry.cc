#include "route/retry.h"

#include <algorithm>

namespace payonce::route {
namespace {

bool is_upstream_trouble(int status) { return status == 429 || status == 529 || status >= 500; }

}  // namespace

UpstreamPtr RetryState::next(int64_t now_ms) {
  ++tries_;
  for (size_t step = 0; step < candidates_.size(); ++step) {
    const size_t index = (at_ + step) % candidates_.size();
    if (!candidates_[index]->breaker->allow(now_ms)) continue;
    at_ = index;
    return candidates_[index];
  }
  return candidates_[at_];  // all are open: better a try than a refusal
}

std::optional<int64_t> RetryState::pause_ms(const Failure& failure, std::minstd_rand& random) {
  if (tries_ >= policy_.attempts) return std::nullopt;
  const bool elsewhere = candidates_.size() > 1 && (failure.status == 0 || is_upstream_trouble(failure.status));
  const bool listed =
      std::find(policy_.statuses.begin(), policy_.statuses.end(), failure.status) != policy_.statuses.end();
  const bool unsent = failure.status == 0 && !failure.sent;
  if (!elsewhere && !listed && !unsent) return std::nullopt;
  if (elsewhere) {
    at_ = (at_ + 1) % candidates_.size();
    if (static_cast<size_t>(tries_) < candidates_.size()) return 0;  // each once before any pause
  }
  if (failure.retry_after_ms > policy_.max_pause_ms) return std::nullopt;  // the client had better wait itself
  const int64_t ceiling = std::min(policy_.max_pause_ms, policy_.base_pause_ms << std::min(tries_ - 1, 10));
  const auto jitter = std::uniform_int_distribution<int64_t>(0, ceiling)(random);
  return std::max(failure.retry_after_ms, jitter);
}

}  // namespace payonce::route
