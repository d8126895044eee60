#include "kv/read_cost.h"

#include <algorithm>
#include <cstring>
#include <memory>

namespace payonce::kv {
namespace {

constexpr double kWeight = 1.0 / 8;  // of a new sample: a change of the disk's load shows after some ten reads
constexpr ReadCost kCopyGuess{.latency_us = 1, .bytes_per_second = 4e9};
constexpr size_t kCopyBytes = 1u << 20;
constexpr int kCopies = 4;  // the best counts: in the others we may have been interrupted

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
  const auto buffer = std::make_unique<char[]>(2 * kCopyBytes);  // zeroed, so that its pages are there
  int64_t best_us = 0;
  for (int i = 0; i < kCopies; ++i) {
    const int64_t start_us = clock.monotonic_us();
    std::memcpy(buffer.get() + kCopyBytes, buffer.get(), kCopyBytes);
    buffer[0] = static_cast<char>(buffer[2 * kCopyBytes - 1] + 1);  // the next copy differs: none may be left out
    const int64_t took_us = clock.monotonic_us() - start_us;
    if (took_us > 0 && (best_us == 0 || took_us < best_us)) best_us = took_us;
  }
  if (best_us == 0) return kCopyGuess;
  return {.latency_us = kCopyGuess.latency_us, .bytes_per_second = kCopyBytes * 1e6 / static_cast<double>(best_us)};
}

}  // namespace payonce::kv
