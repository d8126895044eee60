// The memory tier: a sharded map of recorded answers, bounded in bytes, that keeps what is worth most. Eviction is
// GDSF (Cherkasova 1998, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching policy"):
// priority = L + frequency × cost / size; the lowest goes and L becomes its priority, so that what was once dear
// ages.
// Threads: all methods any. A shard's mutex is held for the look-up and O(log n) bookkeeping only; entries are freed
// outside of it.  Errors: none.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "cache/entry.h"

namespace payonce::cache {

class MemoryTier {
 public:
  struct Options {
    uint64_t capacity_bytes = 256u << 20;  // of Entry::charged_bytes(), over all shards
    uint64_t entry_limit_bytes = 8u << 20;
    size_t shards = 64;  // at most: a shard holds at least four entries of the limit's size
  };
  explicit MemoryTier(Options options);
  ~MemoryTier();
  MemoryTier(const MemoryTier&) = delete;
  MemoryTier& operator=(const MemoryTier&) = delete;

  struct Look {
    EntryPtr entry;
    bool expired = false;  // was there until now
  };
  Look find(std::string_view key, int64_t now_ms);

  // Replaces. An entry that a shard cannot hold is not kept (and the one that it replaces is gone all the same).
  void insert(EntryPtr entry);

  // A reader of the disk takes the ticket before it looks at the disk's index; promote() does nothing if something
  // was inserted into or erased from the key's shard since, so what was purged meanwhile cannot come back through it.
  uint64_t ticket(std::string_view key) const;
  void promote(EntryPtr entry, uint64_t ticket);

  bool erase(std::string_view key);
  uint64_t erase_if(const std::function<bool(const Entry&)>& matches);  // called under a shard's lock, as is visit
  void for_each(const std::function<void(const EntryPtr&, uint64_t hits)>& visit) const;

  uint64_t entries() const { return entries_.load(std::memory_order_relaxed); }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  // Entries dropped for want of room since this was last asked.
  uint64_t take_evicted() { return evicted_.exchange(0, std::memory_order_relaxed); }
  size_t shard_count() const { return shard_count_; }

 private:
  struct Node;
  struct Shard;
  Shard& shard_of(const base::Hash128& hash) const;
  void insert_locked(Shard& shard, const base::Hash128& hash, EntryPtr entry, std::vector<EntryPtr>& freed);

  const size_t shard_count_;
  const uint64_t shard_capacity_;  // bytes
  const base::KeyedHash hash_;
  std::unique_ptr<Shard[]> shards_;
  std::atomic<uint64_t> entries_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> evicted_{0};
};

}  // namespace payonce::cache
