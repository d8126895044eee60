// The store's counters, once for the metrics and once for stats().  Threads: any.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/metrics.h"

namespace payonce::cache {

class Tally {
 public:
  explicit Tally(base::Metrics& metrics)
      : capacity_(metrics.counter("payonce_evictions_total", {{"layer", "exact"}, {"reason", "capacity"}})),
        expired_(metrics.counter("payonce_evictions_total", {{"layer", "exact"}, {"reason", "expired"}})),
        purged_(metrics.counter("payonce_evictions_total", {{"layer", "exact"}, {"reason", "purged"}})),
        corrupt_(metrics.counter("payonce_evictions_total", {{"layer", "exact"}, {"reason", "corrupt"}})),
        faults_(metrics.counter("payonce_layer_faults_total", {{"layer", "exact"}})),
        dropped_writes_(metrics.counter("payonce_dropped_writes_total")) {}

  void capacity(uint64_t entries) { evict(capacity_, entries); }
  void expired(uint64_t entries) { evict(expired_, entries); }
  void purged(uint64_t entries) { evict(purged_, entries); }
  void corrupt(uint64_t entries) { evict(corrupt_, entries); }
  void fault(uint64_t count = 1) {
    faults_.add(static_cast<double>(count));
    fault_count_ += count;
  }
  void dropped_write() { dropped_writes_.add(); }

  uint64_t evictions() const { return evictions_; }
  uint64_t faults() const { return fault_count_; }

 private:
  void evict(const base::Counter& counter, uint64_t entries) {
    if (entries == 0) return;
    counter.add(static_cast<double>(entries));
    evictions_ += entries;
  }

  const base::Counter capacity_, expired_, purged_, corrupt_, faults_, dropped_writes_;
  std::atomic<uint64_t> evictions_{0};
  std::atomic<uint64_t> fault_count_{0};
};

}  // namespace payonce::cache
