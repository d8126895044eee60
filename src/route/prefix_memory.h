// What one upstream's cache is believed to hold: positions of prompts that it has computed, and when each was used
// last. Belief, since nobody tells when an entry is evicted: what was served is remembered, what turns out to be gone
// is forgotten.  Threads: one at a time.  Bounded: `max_positions`; the position that was not used for longest goes
// first, and of one prompt its end before its front, as block caches evict (vLLM, SGLang: leaves first).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/hash.h"
#include "base/lru_map.h"

namespace payonce::route {

// A position of a prompt at which two prompts can part: the hash of everything up to it, and how much that is.
struct Link {
  base::Hash128 hash;
  uint32_t tokens = 0;  // of the prompt up to here, estimated
};
using Chain = std::vector<Link>;  // ascending, the last is the whole prompt
inline constexpr size_t kMaxLinks = 1024;

// At most kMaxLinks of them: every second one, or every fourth, and so on, and the last. The same links of a
// conversation are kept as it grows, but for the doublings.
Chain thinned(Chain chain);

class PrefixMemory {
 public:
  explicit PrefixMemory(size_t max_positions) : max_positions_(max_positions), uses_(SIZE_MAX) {}

  struct Found {
    size_t links = 0;     // the longest prefix that was used within the TTL has so many; 0: none
    uint32_t tokens = 0;  // its length
    int64_t used_ms = 0;  // its last use
    bool served = false;  // an answer showed that it was there; false: a request is on its way that will have it
  };
  // `account` separates caches that share nothing. `ttl_ms` 0: an entry lives until it is forgotten. O(log links):
  // a position is never remembered longer than those before it.
  Found find(std::span<const Link> chain, const base::Hash128& account, int64_t ttl_ms, int64_t now_ms);
  enum class State : uint8_t { kExpected, kServed };
  void use(std::span<const Link> chain, const base::Hash128& account, State state, int64_t now_ms);
  // All positions of the chain after the first `keep` links.
  void forget(std::span<const Link> chain, const base::Hash128& account, size_t keep);
  // Everything that was not used after `used_ms`: of a cache that evicts by use, what lost this has lost that.
  void forget_not_used_after(int64_t used_ms);
  // Forgets what was not used for longest, until no more than `tokens` are left, or what comes next is on its way.
  void shrink_to(uint64_t tokens);
  // The tokens that the cache can hold, as far as is known; what was not used for longest is forgotten beyond that.
  void set_capacity(uint64_t tokens);
  size_t size() const { return uses_.size(); }
  uint64_t tokens() const { return uses_.weight(); }

 private:
  struct Use {
    int64_t at_ms = 0;
    bool served = false;
  };
  void trim();

  const size_t max_positions_;
  uint64_t capacity_tokens_ = UINT64_MAX;
  base::LruMap<Use> uses_;  // weight: tokens
};

}  // namespace payonce::route
