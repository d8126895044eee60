// A block as the store keeps it: the keys and values of 1 … kBlockTokens tokens under the hash of its chain. The
// store knows nothing of what the payload holds; the layout fingerprint says who can read it. Threads: an immutable
// value, shared by all that hold it.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/bytes.h"
#include "kv/block_hash.h"

namespace payonce::kv {

inline constexpr size_t kMaxPayloadBytes = 256u << 20;

struct Block {
  BlockHash hash{};
  BlockHash parent{};           // hash of the block before it; a chain's first has the root hash
  std::vector<int32_t> tokens;  // 1 … kBlockTokens
  base::Bytes payload;          // at most kMaxPayloadBytes
  int64_t keep_until_ms = 0;    // Clock::unix_ms(); until then it is evicted last. 0: no wish
  // What a tier charges for it in memory: payload, tokens and the index around them.
  uint64_t charged_bytes() const { return payload.size() + tokens.size() * sizeof(int32_t) + kOverheadBytes; }
  static constexpr uint64_t kOverheadBytes = 400;
};
using BlockPtr = std::shared_ptr<const Block>;

// For how many a tier's maps are made: growing later stops everyone for the time of a rehash.
constexpr size_t likely_blocks(uint64_t tier_bytes) {
  return static_cast<size_t>(std::min<uint64_t>(tier_bytes / (128u << 10), 1u << 20));
}

}  // namespace payonce::kv
