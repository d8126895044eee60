// What the store counts, once for stats() and once for the metrics.  Threads: all any.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/metrics.h"

namespace payonce::kv {

struct TierStats {
  uint64_t blocks = 0;
  uint64_t bytes = 0;  // memory: as charged; disk: of the files
  uint64_t hits = 0;
  uint64_t evictions = 0;  // blocks
};
struct Stats {
  TierStats memory, disk;
  uint64_t misses = 0;
  uint64_t deduplicated = 0;    // puts of a block that was there
  uint64_t damaged = 0;         // blocks, or stretches of a file, that failed a check or could not be read
  uint64_t dropped_writes = 0;  // blocks that did not reach the disk: queue full, disk failing
};

class Count {
 public:
  explicit Count(base::Counter counter) : counter_(counter) {}
  void add(uint64_t amount = 1) {
    if (amount == 0) return;
    total_.fetch_add(amount, std::memory_order_relaxed);
    counter_.add(static_cast<double>(amount));
  }
  uint64_t total() const { return total_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> total_{0};
  const base::Counter counter_;
};

struct Tally {
  explicit Tally(base::Metrics& metrics)
      : memory_hits(metrics.counter("payonce_kv_store_hits_total", {{"tier", "memory"}})),
        disk_hits(metrics.counter("payonce_kv_store_hits_total", {{"tier", "disk"}})),
        memory_evictions(metrics.counter("payonce_kv_store_evictions_total", {{"tier", "memory"}})),
        disk_evictions(metrics.counter("payonce_kv_store_evictions_total", {{"tier", "disk"}})),
        misses(metrics.counter("payonce_kv_store_misses_total")),
        deduplicated(metrics.counter("payonce_kv_store_deduplicated_total")),
        damaged(metrics.counter("payonce_kv_store_damaged_total")),
        dropped_writes(metrics.counter("payonce_kv_store_dropped_total")),
        memory_blocks(metrics.gauge("payonce_kv_store_blocks", {{"tier", "memory"}})),
        disk_blocks(metrics.gauge("payonce_kv_store_blocks", {{"tier", "disk"}})),
        memory_bytes(metrics.gauge("payonce_kv_store_bytes", {{"tier", "memory"}})),
        disk_bytes(metrics.gauge("payonce_kv_store_bytes", {{"tier", "disk"}})) {}

  Count memory_hits, disk_hits, memory_evictions, disk_evictions;
  Count misses, deduplicated, damaged, dropped_writes;
  const base::Gauge memory_blocks, disk_blocks, memory_bytes, disk_bytes;
};

}  // namespace payonce::kv
