// What one engine says that its KV cache holds: blocks by the engine's own names, and by a chain hash of ours over
// their tokens, so that engines with other hashes are asked alike.
// Threads: all any; one lock, held for look-ups in memory.  Owner: shared; the feed writes, routing reads.
// Bounded: `max_blocks`. What does not fit is not taken in, and the index says that it is not complete.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "kv_events/events.h"

namespace payonce::kv_events {

class BlockIndex {
 public:
  static constexpr size_t kMaxBlocks = 262'144;  // 4 million tokens in blocks of 16, some 40 MB
  static constexpr size_t kMaxPlaces = 32;       // media times groups of layers
  static constexpr size_t kMaxAdapters = 1'024;

  explicit BlockIndex(size_t max_blocks = kMaxBlocks) : max_blocks_(max_blocks) {}

  // ---- the feed's side
  void apply(const Batch& batch);
  enum class Then : uint8_t {
    kComplete,  // the engine is known to hold nothing now
    kUnknown,   // nothing is known of it any more
  };
  void clear(Then then);
  void count_loss();  // the engine began anew: what was believed of it by others is void

  // ---- routing's side
  struct State {
    bool complete = false;  // all that the engine holds is in here; false: it may hold more
    uint64_t losses = 0;    // how often the engine lost everything
    size_t blocks = 0;
    uint64_t tokens = 0;   // in them
    uint64_t events = 0;   // so far
    uint64_t orphans = 0;  // blocks whose parents were not known, or that did not fit
  };
  State state() const;
  // How many of `tokens`, from the front, the engine holds in whole blocks. `model`: as the request names it, which
  // is an adapter's name where one is meant.
  size_t cached_tokens(std::span<const uint32_t> tokens, std::string_view model) const;

 private:
  struct Known {
    base::Hash128 chain;
    uint32_t size = 0;    // tokens
    uint32_t places = 0;  // a bit for each
  };
  void take(const BlockStored& stored);
  void take(const BlockRemoved& removed);
  void take(const AllBlocksCleared&);
  bool chain_of(const BlockStored& stored, base::Hash128& chain) const;
  uint32_t place_bit(const std::string& place);
  void clear_blocks();
  base::Hash128 root(std::string_view adapter) const { return hash_.parts<1>({adapter}); }
  base::Hash128 next(const base::Hash128& chain, std::span<const uint32_t> tokens, std::string_view extra) const;

  const size_t max_blocks_;
  const base::KeyedHash hash_{"payonce kv events v1"};
  mutable std::mutex mutex_;                                                 // guards all below
  std::unordered_map<base::Hash128, Known, base::Hash128Hasher> blocks_;     // by the engine's name
  std::unordered_map<base::Hash128, uint32_t, base::Hash128Hasher> chains_;  // how many of blocks_ have it
  std::unordered_map<std::string, uint32_t> places_;                         // their bits
  std::unordered_map<std::string, bool> adapters_;                           // that were seen
  uint32_t block_size_ = 0;                                                  // the largest seen: of whole blocks
  State state_;
};

}  // namespace payonce::kv_events
