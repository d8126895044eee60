// The response store: a sharded, cost-aware memory tier over a bounded disk tier.
// Threads: all any. find() never blocks on I/O and holds a shard lock only for the look-up; load() does I/O and
// belongs on the worker pool.  Errors: none on reads: a fault is a miss, counted (payonce_layer_faults_total). Writes
// to disk happen on the pool; a failing or full disk switches writing off for a while and is counted.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "cache/entry.h"

namespace payonce::cache {

enum class MissReason : uint8_t { kCold, kExpired, kFault, kOnDisk };  // kOnDisk: call load() on the pool

struct Found {
  EntryPtr entry;  // null: a miss, see reason
  MissReason reason = MissReason::kCold;
};

struct PurgeFilter {          // all that are set must match
  std::string key{};          // exact key, or a prefix ending in '*'
  std::string scope{};        // exact scope id
  std::string version{};      // one tag, "tools=v3"
  int64_t older_than_s = -1;  // age
  std::string model{};
};

struct EntryInfo {  // for `payonce cache ls|get`
  std::string key{}, scope{}, versions{}, model{};
  uint64_t size_bytes = 0;
  int64_t created_ms = 0, expires_ms = 0;
  uint64_t hits = 0;
  bool in_memory = false, on_disk = false;
};

// Of an entry in memory; its hits are not known here.
EntryInfo info_of(const Entry& entry);

// Where a page of a listing ended: listings go from new to old, then by key.
struct ListPosition {
  int64_t created_ms = 0;
  std::string key{};
};

class ResponseStore {
 public:
  struct Options {
    uint64_t memory_bytes = 256u << 20;
    uint64_t entry_limit_bytes = 8u << 20;  // larger answers are not stored
    std::string directory{};                // empty: no disk tier
    uint64_t disk_bytes = 1ull << 30;
    size_t shards = 64;
  };
  // Opening never fails for bad content: a file that cannot be read is set aside or skipped, and counted.
  static std::unique_ptr<ResponseStore> open(Options options, base::Env& env, const base::Clock& clock,
                                             base::WorkerPool& pool, base::Metrics& metrics);
  virtual ~ResponseStore() = default;

  virtual Found find(std::string_view key) = 0;     // memory, and the disk's index in memory
  virtual EntryPtr load(std::string_view key) = 0;  // from disk, verified, promoted to memory; null: a miss
  virtual void insert(EntryPtr entry) = 0;          // replaces; memory now, disk later on the pool
  virtual bool erase(std::string_view key) = 0;
  // Removes from both tiers, and never back after a restart. Does I/O. Returns how many entries.
  virtual uint64_t purge(const PurgeFilter& filter) = 0;
  // The newest `limit` that match, or of those behind `after` in that order, for the next page. Walks the whole
  // index, a shard at a time, and copies little more than it returns; with many entries it belongs on the worker
  // pool.
  virtual std::vector<EntryInfo> list(const PurgeFilter& filter, size_t limit,
                                      const std::optional<ListPosition>& after) = 0;
  std::vector<EntryInfo> list(const PurgeFilter& filter, size_t limit) { return list(filter, limit, std::nullopt); }
  struct Stats {
    uint64_t memory_entries = 0, memory_bytes = 0, disk_entries = 0, disk_bytes = 0, faults = 0, evictions = 0;
  };
  virtual Stats stats() const = 0;
  // Calls `work`, which must only post, when all that earlier runs have stored is found; at once without a disk tier.
  virtual void when_scanned(std::function<void()> work) = 0;
  // What was inserted before outlives this process (not yet a power cut). Does I/O.
  virtual void write_out() = 0;
  virtual void flush() = 0;  // waits until all that was inserted is on disk and synced
};

}  // namespace payonce::cache
