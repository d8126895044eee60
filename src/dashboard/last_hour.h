// The last sixty minutes, minute by minute: how many requests, what they saved, and how long Payonce itself took.
// Threads: none of its own; the owner locks.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace payonce::dashboard {

class LastHour {
 public:
  static constexpr size_t kMinutes = 60;

  struct One {
    bool hit = false;
    bool failed = false;  // status 400 or higher
    double usd = 0;       // of a hit: saved; else spent
    int64_t tokens = 0;   // the same
    int64_t own_us = 0;   // identifying and looking up
  };
  void add(int64_t now_ms, const One& request);

  struct Minute {
    int64_t minute = 0;  // unix time / 60 s
    uint64_t requests = 0, hits = 0, failed = 0;
    double saved_usd = 0, spent_usd = 0;
    int64_t saved_tokens = 0;
  };
  // Sixty of them, oldest first, the last one of now; minutes without requests are zero.
  std::vector<Minute> minutes(int64_t now_ms) const;
  Minute minute_of(int64_t now_ms) const;
  // Quantile of own_us over the hour, within 12.5 %; -1: no requests.
  int64_t own_us_quantile(int64_t now_ms, double quantile) const;

 private:
  // Four steps an octave, up to 2^27 us (two minutes).
  static constexpr size_t kSteps = 112;
  static size_t step_of(int64_t us);
  static int64_t middle_of(size_t step);

  struct Slot {
    Minute sums;
    std::array<uint32_t, kSteps> own_us{};
  };
  std::array<Slot, kMinutes> slots_{};  // by minute
};

}  // namespace payonce::dashboard
