// What is known of positions seen before, by their chain hash. A fixed number of places in sets of sixteen (a cache
// line of tags); a full set forgets the position that was passed longest ago, so memory never grows and nothing is
// ever moved. Threads: one at a time.  Owner: its WriteGate.  A Position's address is good until the next
// find_or_insert().
#pragma once

#include <cstdint>
#include <vector>

#include "base/hash.h"

namespace payonce::prefix {

struct KnownPosition {
  base::Hash128 chain;
  int64_t first_ms = 0;       // seen first
  int64_t seen_ms = 0;        // passed last
  int64_t live_until_ms = 0;  // the provider has it written until then; 0: never written
  uint64_t passer = 0;        // number of the prompt that passed last; 0: none
  uint64_t ended = 0;         // number of the prompt that ended here last; 0: none
  uint32_t passes = 0;        // prompts that passed
};

class PositionTable {
 public:
  explicit PositionTable(size_t capacity);  // positions, rounded up to a power of two, at least sixteen

  KnownPosition* find(const base::Hash128& chain);
  KnownPosition& find_or_insert(const base::Hash128& chain, int64_t now_ms);
  void prefetch(const base::Hash128& chain) const { __builtin_prefetch(&tags_[set_of(chain)]); }

 private:
  static constexpr size_t kWays = 16;
  // Part of the hash that the set does not use; 0 marks an empty place.
  static uint32_t tag_of(const base::Hash128& chain) { return static_cast<uint32_t>(chain.high) | 1u; }
  size_t set_of(const base::Hash128& chain) const { return (chain.low & mask_) * kWays; }

  size_t mask_;
  std::vector<uint32_t> tags_;
  std::vector<KnownPosition> places_;
};

}  // namespace payonce::prefix
