// The prefixes that a simulated provider remembers, by the hash of their chain of blocks; bounded, the least recently
// seen go first.  Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "base/hash.h"
#include "prompt_cache/rules.h"

namespace payonce::prompt_cache {

struct Position {
  int64_t tokens = 0;
  int64_t seen_ms = INT64_MIN;  // start of the last request that contained it
  int64_t reach_tokens = 0;     // the last position that the latest such request wrote
  bool written = false;         // an entry of its own; else only known to have been sent
  bool implicit = false;        // written because nobody marked (OpenAI)
  Ttl ttl = Ttl::kShort;
  int64_t written_ms = INT64_MIN;  // first write of the entry that lives now
  int64_t readable_ms = INT64_MIN;
  int64_t expires_ms = INT64_MIN;  // INT64_MAX: until evicted
};

class PositionStore {
 public:
  explicit PositionStore(size_t limit) : limit_(limit < kMinimum ? kMinimum : limit) {}
  // Valid until the next call of get().
  Position* find(const base::Hash128& hash);
  const Position* find(const base::Hash128& hash) const;
  Position& get(const base::Hash128& hash);  // found, or made
  size_t size() const { return positions_.size(); }

 private:
  static constexpr size_t kMinimum = 64;
  void make_room();

  size_t limit_;
  std::unordered_map<base::Hash128, Position, base::Hash128Hasher> positions_;
};

}  // namespace payonce::prompt_cache
