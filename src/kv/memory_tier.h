// The memory tier: blocks by hash within a number of bytes. Least recently used goes first, but a block goes after
// its children: without its prefix a block is worth nothing. A block that is to be kept goes last while its time has
// not passed, as long as such blocks fill at most half of the tier; then the ones whose time ends first lose the
// mark. What was just inserted is never its own victim, so that kept blocks cannot close the tier to others.
//
// Threads: all methods any; one lock, held for look-ups in maps and ordered sets only: payloads are neither copied
// nor freed under it. Source: leaf-first as in SGLang's radix cache (Zheng et al. 2024, RadixAttention, section 3).
#pragma once

#include <cstdint>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "kv/block.h"

namespace payonce::kv {

class MemoryTier {
 public:
  explicit MemoryTier(uint64_t capacity_bytes);

  enum class Insert : uint8_t { kInserted, kPresent, kNoRoom };
  struct Inserted {
    Insert result = Insert::kInserted;
    BlockPtr block;        // the one that is there now: an earlier one with this hash, or the one given
    uint64_t evicted = 0;  // blocks
  };
  Inserted insert(BlockPtr block, int64_t now_ms);
  BlockPtr find(const BlockHash& hash);  // null: not here. Counts as use
  bool contains(const BlockHash& hash) const;
  void keep(const BlockHash& hash, int64_t until_ms, int64_t now_ms);  // never shortens

  uint64_t blocks() const;
  uint64_t bytes() const;

 private:
  struct Entry {
    BlockPtr block;
    uint64_t used = 0;          // tick of the last use
    int64_t keep_until_ms = 0;  // 0: not kept
    bool is_leaf = true;        // none of its children is here
  };
  using Entries = std::unordered_map<BlockHash, Entry, BlockHashHasher>;
  using ByTick = std::set<std::pair<uint64_t, const BlockHash*>>;
  using ByTime = std::set<std::pair<int64_t, const BlockHash*>>;

  // All with mutex_ held. `at` points into entries_, whose keys do not move.
  ByTick& leaves_of(const Entry& entry) { return entry.keep_until_ms > 0 ? kept_leaves_ : leaves_; }
  void touch(Entries::value_type& at);
  void set_leaf(Entries::value_type& at, bool is_leaf);
  void set_keep(Entries::value_type& at, int64_t until_ms);
  void try_keep(Entries::value_type& at, int64_t until_ms, int64_t now_ms);
  BlockHash victim(const BlockHash& newcomer) const;
  BlockPtr erase(const BlockHash& hash);

  const uint64_t capacity_bytes_;
  mutable std::mutex mutex_;
  Entries entries_;                                                    // guarded by mutex_; so is all below
  std::unordered_map<BlockHash, uint32_t, BlockHashHasher> children_;  // how many are here, by parent
  ByTick leaves_, kept_leaves_;
  ByTime kept_;  // leaves or not
  uint64_t tick_ = 0;
  uint64_t bytes_ = 0;
  uint64_t kept_bytes_ = 0;
};

}  // namespace payonce::kv
