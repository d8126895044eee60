// Where a block is, and what it costs to read it from there, as measured: whoever could compute the block again
// decides by it whether loading beats computing. Threads: a ReadMeter any; the rest are values.
#pragma once

#include <cstdint>
#include <mutex>

#include "base/clock.h"

namespace payonce::kv {

enum class Where : uint8_t { kNone, kMemory, kDisk };

struct ReadCost {
  double latency_us = 0;        // of each read, however small
  double bytes_per_second = 0;  // after that
  double us(uint64_t bytes) const { return latency_us + static_cast<double>(bytes) * 1e6 / bytes_per_second; }
};

// Moving averages: of the latency, and of the time for a byte (so that slow reads weigh as much as they take).
class ReadMeter {
 public:
  explicit ReadMeter(ReadCost guess) : latency_us_(guess.latency_us), us_per_byte_(1e6 / guess.bytes_per_second) {}
  // The first sample replaces the guess. A duration that the clock cannot see (0) tells nothing of the bandwidth.
  void add(int64_t latency_us, uint64_t bytes, int64_t bytes_us);
  ReadCost cost() const;

 private:
  mutable std::mutex mutex_;
  double latency_us_;  // guarded by mutex_; so is all below
  double us_per_byte_;
  bool has_latency_ = false, has_bandwidth_ = false;
};

// Copies memory, for less than a millisecond: what a reader of the memory tier does with the payload.
ReadCost measure_copy(const base::Clock& clock);

}  // namespace payonce::kv
