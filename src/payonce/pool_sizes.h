// How many KV blocks the engine gets.  Threads: pure functions, but for machine_memory_bytes().
//
// A model without sliding layers has one pool: memory / bytes of a block. One with them (gemma3) has two, and memory
// is split between them so that neither is full long before the other:
//   1. Each running sequence needs the sliding blocks of its window, of the chunk that is being computed, and two
//   more
//      where window and chunk begin inside a block: window/16 + prefill_chunk/16 + 2. Up to half of the memory is set
//      apart so, for max_batch sequences or as many as fit.
//   2. The rest is for prefixes, running and cached. A cached prefix can be used again only where the last window
//   before
//      its end is still there, so there is one window of sliding blocks for every kTokensPerWindow tokens of the full
//      pool.
// No sequence has more sliding blocks than full ones, so neither has the pool.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "config/settings.h"

namespace payonce {

inline constexpr int32_t kTokensPerWindow = 2048;

struct BlockCosts {  // of a model
  uint64_t full_block_bytes = 0;
  uint64_t sliding_block_bytes = 0;  // 0: no sliding layers
  int32_t window = 0;                // tokens
  int32_t context_tokens = 0;        // as trained
};

struct PoolSizes {
  int32_t full_blocks = 0;
  int32_t sliding_blocks = 0;
  int32_t context_tokens = 0;  // longest sequence: as asked or trained, as far as the full pool holds it
  uint64_t bytes = 0;          // of both
};

// Without kv_blocks and kv_memory: a quarter of the machine's memory, at most 2 GiB, but room for one whole context
// if half of the memory holds it. kInvalid: no room for a block, or for the context that was asked for, with what to
// do.
base::Result<PoolSizes> pool_sizes(const BlockCosts& costs, const config::EngineSettings& settings,
                                   uint64_t machine_bytes);

// What this process may use: the machine's memory, or its control group's limit if that is less.
uint64_t machine_memory_bytes();

}  // namespace payonce
