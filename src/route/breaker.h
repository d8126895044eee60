// Circuit breaker of one upstream: after a run of failures it is left alone for a while, then tried with one request.
// Failures are what the upstream or the network did (no connection, no answer, 5xx), never a 4xx.
// Threads: all any.
#pragma once

#include <cstdint>
#include <mutex>

namespace payonce::route {

class Breaker {
 public:
  struct Options {
    int failures = 5;          // in a row, to open
    int64_t open_ms = 10'000;  // left alone
  };
  Breaker() = default;
  explicit Breaker(Options options) : options_(options) {}

  // True: the request may go. When open and the time is over, one caller gets true (the probe).
  bool allow(int64_t now_ms);
  bool succeeded();             // true: it was open, and is closed now
  bool failed(int64_t now_ms);  // true: it was closed, and is open now
  bool is_open(int64_t now_ms) const;
  const Options& options() const { return options_; }

 private:
  const Options options_;
  mutable std::mutex mutex_;
  int failures_ = 0;           // guarded by mutex_
  int64_t open_until_ms_ = 0;  // guarded by mutex_; 0: closed
};

}  // namespace payonce::route
