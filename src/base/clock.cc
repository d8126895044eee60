#include "base/clock.h"

#include <chrono>
#include <ctime>

namespace payonce::base {

// The coarse clock: some milliseconds behind at most, a tenth of the cost; ages and expiries count seconds.
int64_t SystemClock::unix_ms() const {
  timespec now{};
  (void)clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000;
}

int64_t SystemClock::monotonic_us() const {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace payonce::base
