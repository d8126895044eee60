// What one sequence holds of the pools: its block tables, how far they are filled, and the names of its blocks.
// A value of the scheduler's; only BlockManager changes the tables. Copying one does not take references: see fork().
// Threads: one (the engine's).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/ops/attention.h"
#include "kv/block_hash.h"

namespace payonce::engine {

using kv::kBlockTokens;

struct BlockTable {
  std::vector<int32_t> full;     // full[i]: block of tokens 16 i … 16 i + 15
  std::vector<int32_t> sliding;  // the same of the sliding pool; kNoBlock once the window has passed
  int32_t computed = 0;          // tokens whose keys and values are in the blocks

  // Who may share: blocks that lie wholly in the first public_tokens are everyone's, the others the tenant's alone.
  std::string tenant;
  int32_t public_tokens = 0;
  std::vector<kv::BlockHash> chain;  // chain[i]: hash of block i, as far as it was asked for
};

// Salts never collide with each other: a tenant's begins with its kind.
inline std::string salt_of_block(const BlockTable& table, size_t block) {
  const bool is_public = (static_cast<int32_t>(block) + 1) * kBlockTokens <= table.public_tokens;
  return is_public ? "public" : "tenant:" + table.tenant;
}

}  // namespace payonce::engine
