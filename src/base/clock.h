// Time comes only through Clock, so that tests and replays run on virtual time.  Threads: all methods any.
#pragma once

#include <atomic>
#include <cstdint>

namespace payonce::base {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual int64_t unix_ms() const = 0;       // wall clock: expiry on disk, Age, ledger days
  virtual int64_t monotonic_us() const = 0;  // durations and timeouts
  int64_t unix_s() const { return unix_ms() / 1000; }
};

class SystemClock final : public Clock {
 public:
  int64_t unix_ms() const override;
  int64_t monotonic_us() const override;
};

// Moves only when told to.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(int64_t unix_ms = 1'790'000'000'000) : unix_ms_(unix_ms) {}
  int64_t unix_ms() const override { return unix_ms_.load(); }
  int64_t monotonic_us() const override { return unix_ms_.load() * 1000; }
  void advance_ms(int64_t ms) { unix_ms_.fetch_add(ms); }

 private:
  std::atomic<int64_t> unix_ms_;
};

}  // namespace payonce::base
