#include "kv_events/feed.h"

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "kv_events/events.h"

namespace payonce::kv_events {
namespace {

// A publisher's queue may drop what it sends again as well (vLLM leaves ZeroMQ's 1,000); as long as each request
// brings something, the rest is asked for.
constexpr int kMaxRequests = 64;

}  // namespace

void Feed::connected() {
  index_.clear(BlockIndex::Then::kUnknown);
  next_ = 0;
  last_live_.reset();
  {
    const std::lock_guard lock(mutex_);
    stats_.connected = true;
  }
  const auto before = last_;
  if (!catch_up()) return;
  if (next_ == 0) index_.clear(BlockIndex::Then::kComplete);  // nothing was published yet, so nothing was stored
  if (before && next_ <= *before) restarted();                // all that it ever sent is less than we had
}

void Feed::disconnected() {
  index_.clear(BlockIndex::Then::kUnknown);
  const std::lock_guard lock(mutex_);
  stats_.connected = false;
}

void Feed::restarted() {
  index_.count_loss();
  const std::lock_guard lock(mutex_);
  ++stats_.restarts;
}

bool Feed::catch_up() {
  if (!replay_) return false;
  for (int i = 0; i < kMaxRequests; ++i) {
    const uint64_t before = next_;
    bool gap = false;
    const bool whole = replay_(before, [&](uint64_t number, std::string_view payload) {
      gap = gap || (number > next_ && next_ > before);  // in front of the first: that is no longer kept
      if (!gap && number >= next_) apply(number, payload, false);
    });
    if (whole && !gap) return true;
    if (next_ == before) return false;
  }
  return false;
}

void Feed::came(uint64_t number, std::string_view payload) {
  const bool back = last_live_ ? number <= *last_live_ : last_ && number >= next_ && number <= *last_;
  last_live_ = number;
  if (back) {
    restarted();
    index_.clear(BlockIndex::Then::kUnknown);
    next_ = 0;
  }
  if (number > next_) {
    if (next_ > 0) {
      const std::lock_guard lock(mutex_);
      ++stats_.gaps;
    }
    catch_up();
  }
  if (number >= next_) apply(number, payload, true);  // else it was sent again before
}

void Feed::apply(uint64_t number, std::string_view payload, bool live) {
  // The first of all finds an empty engine; what a later one found, without those before it, nobody knows.
  if (number == 0) index_.clear(BlockIndex::Then::kComplete);
  if (number > next_) index_.clear(BlockIndex::Then::kUnknown);
  const uint64_t lost = next_ > 0 ? number - next_ : 0;
  next_ = number + 1;
  last_ = number;
  const auto batch = decode_batch(payload);
  if (batch)
    index_.apply(*batch);
  else
    index_.clear(BlockIndex::Then::kUnknown);
  const int64_t now_ms = clock_.unix_ms();
  const std::lock_guard lock(mutex_);
  stats_.lost += lost;
  stats_.came_ms = now_ms;
  if (!batch) {
    if (stats_.unreadable++ == 0)
      base::log_warn("{}; what was known of the engine's cache is dropped", batch.error().message);
    return;
  }
  ++stats_.batches;
  const double made_ms = batch->unix_s * 1000;
  if (live && made_ms > 0 && made_ms < 1e14)
    stats_.lag_ms = std::max<int64_t>(0, now_ms - static_cast<int64_t>(made_ms));
}

Feed::Stats Feed::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

}  // namespace payonce::kv_events
