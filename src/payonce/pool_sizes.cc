#include "payonce/pool_sizes.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "kv/block_hash.h"

namespace payonce {
namespace {

constexpr uint64_t kDefaultBytes = 2ull << 30;
constexpr int64_t kMaxBlocks = 100'000'000;
constexpr uint64_t kMaxMachineBytes = 1ull << 50;

int64_t blocks_of(int64_t tokens) { return (tokens + kv::kBlockTokens - 1) / kv::kBlockTokens; }

class Sizer {
 public:
  Sizer(const BlockCosts& costs, const config::EngineSettings& settings, uint64_t machine_bytes)
      : costs_(costs), settings_(settings), machine_bytes_(std::min(machine_bytes, kMaxMachineBytes)) {}

  base::Result<PoolSizes> run() const {
    PoolSizes out;
    const bool by_blocks = settings_.kv_blocks > 0;
    const int64_t sequences = by_blocks ? settings_.max_batch : sequences_in(memory_bytes());
    const int64_t full =
        std::min(by_blocks ? settings_.kv_blocks : full_blocks_in(memory_bytes(), sequences), kMaxBlocks);
    if (full < 1)
      return base::fail(base::Code::kInvalid,
                        fmt::format("engine.kv_memory: {} bytes hold no block of this model ({} bytes); give more",
                                    memory_bytes(), costs_.full_block_bytes + costs_.sliding_block_bytes));
    const int64_t room = full * kv::kBlockTokens;
    if (settings_.context_tokens > room)
      return base::fail(base::Code::kInvalid,
                        fmt::format("engine.context: {} tokens need {} KV blocks, the pool has {}; raise "
                                    "engine.kv_memory or engine.kv_blocks",
                                    settings_.context_tokens, blocks_of(settings_.context_tokens), full));
    out.full_blocks = static_cast<int32_t>(full);
    out.sliding_blocks = static_cast<int32_t>(sliding_blocks_for(full, sequences));
    out.context_tokens = static_cast<int32_t>(std::min(room, context_tokens()));
    out.bytes = static_cast<uint64_t>(full) * costs_.full_block_bytes +
                static_cast<uint64_t>(out.sliding_blocks) * costs_.sliding_block_bytes;
    return out;
  }

 private:
  int64_t context_tokens() const {
    return settings_.context_tokens > 0 ? settings_.context_tokens : std::max(costs_.context_tokens, 1);
  }
  int64_t sliding_per_sequence() const { return blocks_of(costs_.window) + blocks_of(settings_.prefill_chunk) + 2; }
  int64_t sliding_blocks_for(int64_t full, int64_t sequences) const {
    if (costs_.sliding_block_bytes == 0) return 0;
    const int64_t kept = full * costs_.window / kTokensPerWindow;
    return std::min(full, sequences * sliding_per_sequence() + kept);
  }
  uint64_t memory_bytes() const {
    if (settings_.kv_memory_bytes > 0) return settings_.kv_memory_bytes;
    const int64_t blocks = blocks_of(context_tokens());
    const uint64_t one_context = static_cast<uint64_t>(blocks) * costs_.full_block_bytes +
                                 static_cast<uint64_t>(sliding_blocks_for(blocks, 1)) * costs_.sliding_block_bytes;
    const uint64_t usual = std::min(machine_bytes_ / 4, kDefaultBytes);
    return std::max(usual, std::min(one_context, machine_bytes_ / 2));
  }
  // Sequences whose sliding blocks half of the memory holds.
  int64_t sequences_in(uint64_t bytes) const {
    const uint64_t one = costs_.sliding_block_bytes * static_cast<uint64_t>(sliding_per_sequence());
    return std::clamp<int64_t>(
        static_cast<int64_t>(std::min<uint64_t>(bytes / 2 / std::max<uint64_t>(1, one), kMaxBlocks)), 1,
        settings_.max_batch);
  }
  // The largest full pool whose sliding pool has room beside it. Both grow together, so halving finds it.
  int64_t full_blocks_in(uint64_t bytes, int64_t sequences) const {
    int64_t fits = 0, too_many = static_cast<int64_t>(bytes / std::max<uint64_t>(1, costs_.full_block_bytes)) + 1;
    while (too_many - fits > 1) {
      const int64_t middle = fits + (too_many - fits) / 2;
      const uint64_t wanted =
          static_cast<uint64_t>(middle) * costs_.full_block_bytes +
          static_cast<uint64_t>(sliding_blocks_for(middle, sequences)) * costs_.sliding_block_bytes;
      (wanted <= bytes ? fits : too_many) = middle;
    }
    return fits;
  }

  const BlockCosts& costs_;
  const config::EngineSettings& settings_;
  const uint64_t machine_bytes_;
};

}  // namespace

base::Result<PoolSizes> pool_sizes(const BlockCosts& costs, const config::EngineSettings& settings,
                                   uint64_t machine_bytes) {
  return Sizer(costs, settings, machine_bytes).run();
}

uint64_t machine_memory_bytes() {
  const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGE_SIZE);
  uint64_t out = pages > 0 && page_bytes > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page_bytes)
                                             : 4 * kDefaultBytes;
  for (const char* path : {"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}) {
    uint64_t limit = 0;  // stays so for "max"
    if (std::ifstream(path) >> limit && limit > 0) out = std::min(out, limit);
  }
  return out;
}

}  // namespace payonce
