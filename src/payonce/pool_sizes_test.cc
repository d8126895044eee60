#include "payonce/pool_sizes.h"

#include <gtest/gtest.h>

namespace payonce {
namespace {

constexpr uint64_t kMiB = 1ull << 20, kGiB = 1ull << 30;
constexpr BlockCosts kPlain{.full_block_bytes = 360 * 1024, .context_tokens = 8192};
// gemma3-270m: 3 full and 15 sliding layers of 16 KiB a block.
constexpr BlockCosts kSliding{
    .full_block_bytes = 48 * 1024, .sliding_block_bytes = 240 * 1024, .window = 512, .context_tokens = 32768};

PoolSizes sizes(const BlockCosts& costs, const config::EngineSettings& settings = {}, uint64_t machine = 64 * kGiB) {
  const auto made = pool_sizes(costs, settings, machine);
  EXPECT_TRUE(made) << made.error().message;
  return made.value_or(PoolSizes{});
}

TEST(PoolSizes, MemoryIsBlocksAndNoMoreThanAsked) {
  const PoolSizes made = sizes(kPlain, {.kv_memory_bytes = kGiB});
  EXPECT_EQ(made.full_blocks, static_cast<int32_t>(kGiB / kPlain.full_block_bytes));
  EXPECT_EQ(made.sliding_blocks, 0);
  EXPECT_EQ(made.context_tokens, 8192);
  EXPECT_LE(made.bytes, kGiB);
}

TEST(PoolSizes, TheDefaultIsAQuarterOfTheMachineAtMostTwoGiB) {
  EXPECT_LE(sizes(kPlain).bytes, 2 * kGiB);
  EXPECT_GT(sizes(kPlain).bytes, 2 * kGiB - kMiB);
  EXPECT_LE(sizes(kPlain, {}, 4 * kGiB).bytes, kGiB);
  EXPECT_GT(sizes(kPlain, {}, 4 * kGiB).bytes, kGiB - kMiB);
}

TEST(PoolSizes, TheDefaultHoldsOneContextIfHalfOfTheMachineDoes) {
  BlockCosts large = kPlain;
  large.full_block_bytes = 2 * kMiB;
  large.context_tokens = 32768;  // 4 GiB
  EXPECT_EQ(sizes(large).context_tokens, 32768);
  EXPECT_EQ(sizes(large, {}, 4 * kGiB).context_tokens, 16384);
}

TEST(PoolSizes, TheContextIsNeverLongerThanThePool) {
  EXPECT_EQ(sizes(kPlain, {.kv_blocks = 64}).context_tokens, 1024);
  EXPECT_EQ(sizes(kPlain, {.kv_blocks = 64, .context_tokens = 100}).context_tokens, 100);
  const auto refused = pool_sizes(kPlain, {.kv_blocks = 64, .context_tokens = 1025}, kGiB);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("need 65 KV blocks, the pool has 64"), std::string::npos);
}

TEST(PoolSizes, NoRoomForABlockIsToldWithWhatItTakes) {
  const auto refused = pool_sizes(kPlain, {.kv_memory_bytes = 1000}, kGiB);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("368640"), std::string::npos);
}

TEST(PoolSizes, ASlidingPoolHoldsTheWindowsOfAllThatRunAndOfWhatIsCached) {
  const config::EngineSettings settings{.kv_memory_bytes = 2 * kGiB};
  const PoolSizes made = sizes(kSliding, settings);
  const int running = settings.max_batch * (512 / 16 + settings.prefill_chunk / 16 + 2);
  const int cached = made.full_blocks * 16 / kTokensPerWindow * (512 / 16);
  EXPECT_GE(made.sliding_blocks, running + cached - 32);
  EXPECT_LE(made.sliding_blocks, made.full_blocks);
  EXPECT_LE(made.bytes, 2 * kGiB);
  EXPECT_GT(made.bytes, 2 * kGiB - kMiB);
}

TEST(PoolSizes, InLittleMemoryFewerSequencesRunButOneContextHasBoth) {
  const PoolSizes made = sizes(kSliding, {.kv_memory_bytes = 64 * kMiB});
  EXPECT_LE(made.bytes, 64 * kMiB);
  EXPECT_GE(made.sliding_blocks, 66);
  EXPECT_GT(made.full_blocks, 300);
}

TEST(PoolSizes, SlidingBlocksNeverOutnumberFullOnes) {
  EXPECT_EQ(sizes(kSliding, {.kv_blocks = 40}).sliding_blocks, 40);
}

}  // namespace
}  // namespace payonce
