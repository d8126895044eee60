#include "kv/read_cost.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace payonce::kv {
namespace {

constexpr double kWeight = 1.0 / 8;  // of a new sample: a change of the disk's load shows after some ten reads
constexpr ReadCost kCopyGuess{.latency_us = 1, .bytes_per_second = 4e9};
constexpr size_t kCopyBytes = 4u << 20;  // more than the second-level caches of most machines

void average(double& value, double sample, bool& has_sample) {
  value = has_sample ? value + (sample - value) * kWeight : sample;
  has_sample = true;
}

}  // namespace

void ReadMeter::add(int64_t latency_us, uint64_t bytes, int64_t bytes_us) {
  const std::lock_guard lock(mutex_);
  average(latency_us_, static_cast<double>(std::max<int64_t>(latency_us, 0)), has_latency_);
  if (bytes == 0 || bytes_us <= 0) return;
  average(us_per_byte_, static_cast<double>(bytes_us) / static_cast<double>(bytes), has_bandwidth_);
}

ReadCost ReadMeter::cost() const {
  const std::lock_guard lock(mutex_);
  return {.latency_us = latency_us_, .bytes_per_second = 1e6 / us_per_byte_};
}

ReadCost measure_copy(const base::Clock& clock) {
  const auto from = std::make_unique<char[]>(kCopyBytes);
  const auto to = std::make_unique<char[]>(kCopyBytes);  // zeroed, so that its pages are there
  const int64_t start_us = clock.monotonic_us();
  std::memcpy(to.get(), from.get(), kCopyBytes);
  // The copy is looked at, or the compiler may leave it out.
  const bool is_equal = std::memcmp(to.get() + kCopyBytes / 2, from.get(), 1) == 0;
  const int64_t took_us = clock.monotonic_us() - start_us;
  if (took_us <= 0 || !is_equal) return kCopyGuess;
  return {.latency_us = kCopyGuess.latency_us, .bytes_per_second = kCopyBytes * 1e6 / static_cast<double>(took_us)};
}

}  // namespace payonce::kv
