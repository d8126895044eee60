#include "engine/block_manager.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <numeric>

#include "engine/simulated_executor.h"

namespace payonce::engine {
namespace {

std::vector<int32_t> tokens_from(int32_t first, int32_t count) {
  std::vector<int32_t> out(static_cast<size_t>(count));
  std::iota(out.begin(), out.end(), first);
  return out;
}

struct BlockManagerTest : testing::Test {
  BlockManager make(int32_t blocks, int32_t sliding = 0, int32_t window = 0) {
    executor = std::make_unique<SimulatedExecutor>(blocks, sliding, window);
    return BlockManager({.full_blocks = blocks, .sliding_blocks = sliding, .window = window, .root = {}}, *executor,
                        clock);
  }
  // As the scheduler does it: takes what is cached, computes the rest.
  int32_t run(BlockManager& manager, BlockTable& table, const std::vector<int32_t>& tokens) {
    const auto size = static_cast<int32_t>(tokens.size());
    const int32_t found = manager.extend_from_cache(table, tokens, size - 1);
    if (!manager.reserve(table, size)) return -1;
    manager.commit(table, tokens, size);
    manager.check();
    return found;
  }
  BlockTable of(std::string tenant, int32_t public_tokens = 0) {
    BlockTable table;
    table.tenant = std::move(tenant);
    table.public_tokens = public_tokens;
    return table;
  }
  base::FakeClock clock;
  std::unique_ptr<SimulatedExecutor> executor;
};

TEST_F(BlockManagerTest, ARepeatedPromptLacksOneTokenOnly) {
  BlockManager manager = make(16);
  const auto prompt = tokens_from(1, 53);
  BlockTable first = of("a"), second = of("a");
  EXPECT_EQ(run(manager, first, prompt), 0);
  manager.release(first);
  EXPECT_EQ(run(manager, second, prompt), 52);
  manager.release(second);
  EXPECT_EQ(manager.full_counts().used, 0);
  EXPECT_EQ(manager.full_counts().cached, 4);  // the twin of the tail is gone
}

TEST_F(BlockManagerTest, APromptThatEndsAtABlocksEdgeIsReusedToTheToken) {
  BlockManager manager = make(16);
  BlockTable first = of("a"), second = of("a");
  EXPECT_EQ(run(manager, first, tokens_from(1, 48)), 0);
  EXPECT_EQ(run(manager, second, tokens_from(1, 48)), 47);
  EXPECT_EQ(first.full, second.full);  // the recomputed block gave way to its twin
  EXPECT_EQ(manager.full_counts().used, 3);
}

TEST_F(BlockManagerTest, APrefixInUseIsSharedAndFreedOnce) {
  BlockManager manager = make(16);
  BlockTable first = of("a"), second = of("a");
  auto longer = tokens_from(1, 40);
  EXPECT_EQ(run(manager, first, longer), 0);
  longer[35] = 999;
  EXPECT_EQ(run(manager, second, longer), 35);
  EXPECT_EQ(manager.full_counts().used, 4);
  manager.release(first);
  EXPECT_EQ(manager.full_counts().used, 3);
  manager.release(second);
  EXPECT_EQ(manager.full_counts().used, 0);
  manager.check();
}

TEST_F(BlockManagerTest, TenantsShareNothingButPublicBlocks) {
  BlockManager manager = make(16);
  const auto prompt = tokens_from(1, 60);
  BlockTable a = of("a"), b = of("b");
  EXPECT_EQ(run(manager, a, prompt), 0);
  EXPECT_EQ(run(manager, b, prompt), 0);
  manager.release(a);
  manager.release(b);
  BlockTable c = of("c", 40), d = of("d", 40);
  EXPECT_EQ(run(manager, c, prompt), 0);   // private blocks are not taken for public ones
  EXPECT_EQ(run(manager, d, prompt), 32);  // two whole blocks of the 40 public tokens
}

TEST_F(BlockManagerTest, AForkCopiesItsTailWhenItWrites) {
  BlockManager manager = make(16);
  auto prompt = tokens_from(1, 20);
  BlockTable first = of("a");
  EXPECT_EQ(run(manager, first, prompt), 0);
  BlockTable second = manager.fork(first);
  EXPECT_EQ(manager.full_counts().used, 2);
  prompt.push_back(7);
  ASSERT_TRUE(manager.reserve(second, 21));
  manager.commit(second, prompt, 21);
  EXPECT_NE(first.full[1], second.full[1]);
  EXPECT_EQ(first.full[0], second.full[0]);
  EXPECT_EQ(executor->copies, 1U);
  ASSERT_TRUE(manager.reserve(first, 21));  // the last holder writes in place
  EXPECT_EQ(executor->copies, 1U);
  manager.check();
}

TEST_F(BlockManagerTest, EvictsLeavesFirstAndTheOldestOfThem) {
  BlockManager manager = make(8);
  BlockTable first = of("a"), second = of("a"), third = of("a");
  ASSERT_EQ(run(manager, first, tokens_from(1, 64)), 0);
  manager.release(first);
  ASSERT_EQ(run(manager, second, tokens_from(500, 64)), 0);
  manager.release(second);
  ASSERT_EQ(run(manager, third, tokens_from(900, 32)), 0);  // takes two: the tail of the first
  manager.release(third);
  BlockTable again = of("a");
  EXPECT_EQ(manager.extend_from_cache(again, tokens_from(1, 64), 63), 32);
  BlockTable intact = of("a");
  EXPECT_EQ(manager.extend_from_cache(intact, tokens_from(500, 64), 64), 64);
  EXPECT_EQ(manager.evictions(), 2U);
}

TEST_F(BlockManagerTest, MarkedBlocksGoLastUntilTheirTimeIsUp) {
  BlockManager manager = make(8);
  BlockTable kept = of("a"), other = of("a"), filler = of("a");
  ASSERT_EQ(run(manager, kept, tokens_from(1, 48)), 0);
  manager.mark(kept, 48, clock.unix_ms() + 300'000);
  manager.release(kept);
  ASSERT_EQ(run(manager, other, tokens_from(500, 64)), 0);
  manager.release(other);
  ASSERT_EQ(run(manager, filler, tokens_from(900, 64)), 0);  // more recent, yet its own go first
  manager.release(filler);
  BlockTable look = of("a");
  EXPECT_EQ(manager.extend_from_cache(look, tokens_from(1, 48), 48), 48);
  manager.release(look);
  clock.advance_ms(300'001);
  BlockTable late = of("a");
  ASSERT_EQ(run(manager, late, tokens_from(2000, 112)), 0);
  BlockTable gone = of("a");
  EXPECT_LT(manager.extend_from_cache(gone, tokens_from(1, 48), 48), 48);
}

TEST_F(BlockManagerTest, MarksHoldAtMostHalfOfThePool) {
  BlockManager manager = make(8);
  for (int32_t i = 0; i < 2; ++i) {
    BlockTable table = of("a");
    ASSERT_EQ(run(manager, table, tokens_from(1000 * i, 64)), 0);
    manager.mark(table, 64, clock.unix_ms() + 1'000'000);
    manager.release(table);
  }
  BlockTable table = of("a");
  EXPECT_EQ(run(manager, table, tokens_from(9000, 120)), 0);  // everything may be evicted when nothing else is left
}

TEST_F(BlockManagerTest, NoRoomChangesNothing) {
  BlockManager manager = make(4);
  BlockTable first = of("a"), second = of("b");
  ASSERT_EQ(run(manager, first, tokens_from(1, 40)), 0);
  EXPECT_FALSE(manager.reserve(second, 17 + 16));
  EXPECT_TRUE(second.full.empty());
  EXPECT_EQ(manager.full_counts().free, 1);
  manager.check();
}

TEST_F(BlockManagerTest, SlidingBlocksDieBehindTheWindow) {
  BlockManager manager = make(32, 32, 32);
  BlockTable table = of("a");
  ASSERT_EQ(run(manager, table, tokens_from(1, 200)), 0);
  EXPECT_EQ(table.sliding[0], kNoBlock);
  EXPECT_NE(table.sliding[12], kNoBlock);
  EXPECT_EQ(manager.sliding_counts().used, 3);
  EXPECT_EQ(manager.sliding_counts().cached, 10);  // still of use to others
}

TEST_F(BlockManagerTest, APrefixIsUsableOnlyWhereItsWindowIsStillThere) {
  BlockManager manager = make(64, 8, 32);
  BlockTable first = of("a");
  auto prompt = tokens_from(1, 0);
  for (int32_t size = 16; size <= 160; size += 16) {  // in steps, so that the small pool is enough
    prompt = tokens_from(1, size);
    ASSERT_TRUE(manager.reserve(first, size));
    manager.commit(first, prompt, size);
  }
  manager.release(first);
  BlockTable middle = of("a"), end = of("a");
  EXPECT_EQ(manager.extend_from_cache(middle, tokens_from(1, 64), 32), 0);  // its window was taken by later blocks
  EXPECT_EQ(manager.extend_from_cache(end, prompt, 160), 160);
  manager.check();
}

TEST_F(BlockManagerTest, ABlockFromTheTierNeedsItsParentAndIsFoundAfterwards) {
  BlockManager manager = make(8);
  const auto prompt = tokens_from(1, 32);
  const std::span<const int32_t> all = prompt;
  BlockTable names = of("a");
  const auto fill = [](int32_t, int32_t) {};
  const kv::BlockHash first = manager.chain_hash(names, all, 0);
  EXPECT_EQ(manager.adopt(first, "tenant:a", all.subspan(16), false, fill), kNoBlock);
  EXPECT_NE(manager.adopt({}, "tenant:a", all.first(16), false, fill), kNoBlock);
  EXPECT_NE(manager.adopt(first, "tenant:a", all.subspan(16), false, fill), kNoBlock);
  BlockTable table = of("a");
  EXPECT_EQ(manager.extend_from_cache(table, prompt, 32), 32);
  manager.check();
}

// Against the plainest model there is: a list of every token sequence that was ever computed by each tenant. What the
// manager finds must be a prefix of one of them, and with room for all it must be the longest.
TEST(BlockManagerProperty, FindsExactlyTheLongestKnownPrefix) {
  EXPECT_TRUE(rc::check([] {
    SimulatedExecutor executor(400);
    const base::FakeClock clock;
    BlockManager manager({.full_blocks = 400, .sliding_blocks = 0, .window = 0, .root = {}}, executor, clock);
    std::map<std::string, std::vector<std::vector<int32_t>>> known;
    std::vector<BlockTable> running;
    const int rounds = *rc::gen::inRange(1, 20);
    for (int round = 0; round < rounds; ++round) {
      const std::string tenant = *rc::gen::element(std::string("a"), std::string("b"));
      std::vector<int32_t> prompt;
      if (!known[tenant].empty() && *rc::gen::inRange(0, 4) > 0) {
        prompt = *rc::gen::elementOf(known[tenant]);
        prompt.resize(*rc::gen::inRange<size_t>(1, prompt.size() + 1));
      }
      const auto more = *rc::gen::inRange(1, 40);
      for (int i = 0; i < more; ++i) prompt.push_back(*rc::gen::inRange(0, 3));
      size_t longest = 0;
      for (const auto& other : known[tenant]) {
        const auto [end, unused] = std::mismatch(prompt.begin(), prompt.end() - 1, other.begin(), other.end());
        longest = std::max(longest, static_cast<size_t>(end - prompt.begin()));
      }
      BlockTable table;
      table.tenant = tenant;
      const auto size = static_cast<int32_t>(prompt.size());
      const int32_t found = manager.extend_from_cache(table, prompt, size - 1);
      RC_ASSERT(static_cast<size_t>(found) == longest);
      RC_ASSERT(manager.reserve(table, size));
      manager.commit(table, prompt, size);
      known[tenant].push_back(prompt);
      running.push_back(std::move(table));
      if (*rc::gen::inRange(0, 2) == 0) {
        const auto ended = *rc::gen::inRange<size_t>(0, running.size());
        manager.release(running[ended]);
        running.erase(running.begin() + static_cast<std::ptrdiff_t>(ended));
      }
      manager.check();
    }
    for (BlockTable& table : running) manager.release(table);
    manager.check();
    RC_ASSERT(manager.full_counts().used == 0);
  }));
}

}  // namespace
}  // namespace payonce::engine
