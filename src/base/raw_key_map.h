// From the keyed hash of raw bytes to what was computed from them, so that a byte-equal repeat skips the computing.
// The hash is keyed by a secret of this process: a caller cannot build collisions.
//
// Threads: all any; each shard has a lock, held for the look-up only.
//
// Owner: holds its values until they are replaced. Bounded: a shard that is full drops a slot chosen by the clock
// algorithm (second chance).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"

namespace payonce::base {

template <typename Value>
class RawKeyMap {
 public:
  using Pointer = std::shared_ptr<const Value>;
  explicit RawKeyMap(size_t capacity) : shard_capacity_(capacity / kShards + 1) {}

  Pointer find(const Hash128& key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto it = shard.slots.find(key);
    if (it == shard.slots.end()) return nullptr;
    it->second.used = true;
    return it->second.value;
  }

  void insert(const Hash128& key, Pointer value) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const auto [it, added] = shard.slots.try_emplace(key);
    it->second.value = std::move(value);
    if (!added) return;
    if (shard.ring.size() < shard_capacity_) {
      shard.ring.push_back(key);
      return;
    }
    while (true) {  // ends: each turn takes a second chance away
      Hash128& candidate = shard.ring[shard.hand];
      const auto victim = shard.slots.find(candidate);
      if (!victim->second.used) {
        shard.slots.erase(victim);
        candidate = key;
        break;
      }
      victim->second.used = false;
      shard.hand = (shard.hand + 1) % shard.ring.size();
    }
    shard.hand = (shard.hand + 1) % shard.ring.size();
  }

 private:
  static constexpr size_t kShards = 16;
  struct Slot {
    Pointer value;
    bool used = false;
  };
  struct Shard {
    std::mutex mutex;
    std::unordered_map<Hash128, Slot, Hash128Hasher> slots;  // guarded by mutex
    std::vector<Hash128> ring;                               // guarded by mutex
    size_t hand = 0;                                         // guarded by mutex
  };
  Shard& shard_of(const Hash128& key) { return shards_[key.high % kShards]; }

  const size_t shard_capacity_;
  std::array<Shard, kShards> shards_;
};

}  // namespace payonce::base
