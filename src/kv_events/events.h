// KV cache events as vLLM and SGLang publish them: a batch for each step of the scheduler, in MessagePack.
//
// Shapes that are read (vllm/distributed/kv_events.py of 0.9 to 0.32, sglang/srt/disaggregation/kv_events.py of 0.5):
// a batch is an array [ts, events, rank?], or a map {"ts", "events", …}; an event is an array that begins with its
// tag, or a map with its tag under "type":
//   BlockStored   block_hashes, parent_block_hash, token_ids, block_size, lora_id, medium, lora_name, extra_keys,
//                 group_idx, kv_cache_spec_kind, …; SGLang has cache_salt by name
//   BlockRemoved  block_hashes, medium, group_idx
//   AllBlocksCleared
// In arrays this is the order, and the end may be missing. A block's hash is an integer of 64 bits, signed or not, or
// the bytes of a digest. Other members and other events are skipped.  Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/hash.h"
#include "base/result.h"

namespace payonce::kv_events {

struct BlockStored {
  std::vector<base::Hash128> hashes;  // the engine's names for them, each the next one's parent
  base::Hash128 parent;               // of the first; {}: it begins a prompt
  std::vector<uint32_t> tokens;       // block_size for each block, or none where the engine tells none
  uint32_t block_size = 0;
  std::string place;    // medium and group of layers: a block may be in several
  std::string adapter;  // LoRA's name, or its number; empty: the model itself
  std::vector<std::string_view>
      extras;  // of each block, what else its hash covers (images, a salt), encoded; or none
};
struct BlockRemoved {
  std::vector<base::Hash128> hashes;
  std::string place;
};
struct AllBlocksCleared {};
using Event = std::variant<BlockStored, BlockRemoved, AllBlocksCleared>;

struct Batch {
  double unix_s = 0;  // when it was made, by the engine's clock
  std::vector<Event> events;
};

// Views point into `payload`. Blocks of layers that do not keep a whole prefix (sliding windows, state spaces) are
// left out: a prefix is reused as far as the layers with full attention have it. kCorrupt.
base::Result<Batch> decode_batch(std::string_view payload);

}  // namespace payonce::kv_events
