#include "route/breaker.h"

#include <utility>

namespace payonce::route {

bool Breaker::allow(int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (open_until_ms_ == 0) return true;
  if (now_ms < open_until_ms_) return false;
  open_until_ms_ = now_ms + options_.open_ms;  // others wait for what the probe finds
  return true;
}

bool Breaker::succeeded() {
  const std::lock_guard lock(mutex_);
  failures_ = 0;
  return std::exchange(open_until_ms_, 0) != 0;
}

bool Breaker::failed(int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (++failures_ < options_.failures) return false;
  return std::exchange(open_until_ms_, now_ms + options_.open_ms) == 0;
}

bool Breaker::is_open(int64_t now_ms) const {
  const std::lock_guard lock(mutex_);
  return open_until_ms_ != 0 && now_ms < open_until_ms_;
}

}  // namespace payonce::route
