#include "kv/memory_tier.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "kv/store_fixture.h"

namespace payonce::kv {
namespace {

constexpr size_t kMemoryPayload = 1000;
const uint64_t kSize = make_block(0, kMemoryPayload).charged_bytes() - 4;  // without its tokens

struct Tier : MemoryTier {
  explicit Tier(uint64_t blocks) : MemoryTier(blocks * (kSize + 64)) {}
  // All of one size: 16 tokens each.
  Inserted add(int number, int parent = -1, int64_t keep_until_ms = 0, int64_t now_ms = 0) {
    Block block = make_block(number, kMemoryPayload, parent, keep_until_ms);
    block.tokens.assign(16, number);
    return insert(std::make_shared<const Block>(std::move(block)), now_ms);
  }
  bool has(int number) const { return contains(hash_of(number)); }
  BlockPtr use(int number) { return find(hash_of(number)); }
};

TEST(MemoryTier, TheLeastRecentlyUsedGoesFirst) {
  Tier tier(3);
  for (int i = 0; i < 3; ++i) tier.add(i);
  ASSERT_TRUE(tier.use(0));
  EXPECT_EQ(tier.add(3).evicted, 1u);
  EXPECT_FALSE(tier.has(1));
  EXPECT_TRUE(tier.has(0) && tier.has(2) && tier.has(3));
}

TEST(MemoryTier, AskingWhetherABlockIsThereIsNoUse) {
  Tier tier(2);
  tier.add(0);
  tier.add(1);
  EXPECT_TRUE(tier.has(0));
  tier.add(2);
  EXPECT_FALSE(tier.has(0));
}

TEST(MemoryTier, TheFirstOfEqualHashesStays) {
  Tier tier(3);
  const BlockPtr first = tier.add(0).block;
  const MemoryTier::Inserted again = tier.add(0);
  EXPECT_EQ(again.result, MemoryTier::Insert::kPresent);
  EXPECT_EQ(again.block, first);
  EXPECT_EQ(tier.blocks(), 1u);
  EXPECT_EQ(tier.bytes(), first->charged_bytes());
}

TEST(MemoryTier, ABlockGoesAfterItsChildren) {
  Tier tier(4);
  tier.add(0);
  tier.add(1, 0);
  tier.add(2, 1);
  tier.add(9);
  tier.add(10);  // the chain's end is the oldest leaf
  EXPECT_FALSE(tier.has(2));
  EXPECT_TRUE(tier.has(0) && tier.has(1));
  tier.add(11);
  EXPECT_FALSE(tier.has(1));
  tier.add(12);
  EXPECT_FALSE(tier.has(0));
  EXPECT_TRUE(tier.has(9));
}

TEST(MemoryTier, AParentThatComesAfterItsChildIsNoLeaf) {
  Tier tier(3);
  tier.add(1, 0);
  tier.add(0);
  ASSERT_TRUE(tier.use(1));
  tier.add(8);
  tier.add(9);
  EXPECT_TRUE(tier.has(0));
  EXPECT_FALSE(tier.has(1));
}

TEST(MemoryTier, ABlockWithTwoChildrenWaitsForBoth) {
  Tier tier(3);
  tier.add(0);
  tier.add(1, 0);
  tier.add(2, 0);
  tier.add(3);
  EXPECT_TRUE(tier.has(0) && !tier.has(1) && tier.has(2));
  ASSERT_TRUE(tier.use(3));
  tier.add(4);
  EXPECT_TRUE(tier.has(0) && !tier.has(2));
  tier.add(5);
  EXPECT_FALSE(tier.has(0));
}

TEST(MemoryTier, BlocksThatNameEachOtherAsParentsGoAll) {
  Tier tier(3);
  tier.add(0, 2);
  tier.add(1, 0);
  tier.add(2, 1);
  tier.add(3, 3);
  tier.add(4, 3);
  tier.add(5, 3);
  tier.add(6);
  EXPECT_EQ(tier.blocks(), 3u);
  EXPECT_LE(tier.bytes(), 3 * (kSize + 64));
}

TEST(MemoryTier, AKeptBlockOutlivesOthersUntilItsTimeHasPassed) {
  Tier tier(4);
  tier.add(0, -1, 1000);
  for (int i = 1; i < 10; ++i) tier.add(i, -1, 0, 999);
  EXPECT_TRUE(tier.has(0));
  tier.add(10, -1, 0, 1000);
  EXPECT_FALSE(tier.has(0));
}

TEST(MemoryTier, KeptBlocksTakeHalfOfTheTierAtMost) {
  Tier tier(4);
  for (int i = 0; i < 4; ++i) tier.add(i, -1, 1000 + i);
  for (int i = 4; i < 20; ++i) tier.add(i);
  EXPECT_TRUE(tier.has(2) && tier.has(3)) << "whose time ends last";
  EXPECT_FALSE(tier.has(0) || tier.has(1));
  tier.add(20, -1, 500);
  tier.add(21);
  tier.add(22);
  EXPECT_TRUE(tier.has(2) && tier.has(3) && !tier.has(20)) << "a shorter wish takes no room from a longer one";
}

TEST(MemoryTier, AWishIsNeverShortened) {
  Tier tier(4);
  tier.add(0, -1, 1000);
  tier.add(0, -1, 10);
  tier.keep(hash_of(0), 20, 0);
  for (int i = 1; i < 10; ++i) tier.add(i, -1, 0, 900);
  EXPECT_TRUE(tier.has(0));
}

TEST(MemoryTier, AWishMayComeLater) {
  Tier tier(4);
  tier.add(0);
  tier.keep(hash_of(0), 1000, 0);
  tier.keep(hash_of(77), 1000, 0);  // not here
  for (int i = 1; i < 10; ++i) tier.add(i);
  EXPECT_TRUE(tier.has(0));
}

TEST(MemoryTier, KeptLeavesDoNotCloseTheTierToOthers) {
  Tier tier(4);
  tier.add(0);
  tier.add(1, 0);
  tier.add(2, 1);
  tier.add(3, 2, 1000);  // so that no leaf is left that is not kept
  tier.add(9);
  EXPECT_TRUE(tier.has(9));
  tier.add(10, 9);
  EXPECT_TRUE(tier.has(9) && tier.has(10));
}

TEST(MemoryTier, ABlockLargerThanTheTierEvictsNothing) {
  Tier tier(2);
  tier.add(0);
  const auto large = std::make_shared<const Block>(make_block(1, 10 * kMemoryPayload));
  const MemoryTier::Inserted inserted = tier.insert(large, 0);
  EXPECT_EQ(inserted.result, MemoryTier::Insert::kNoRoom);
  EXPECT_EQ(inserted.block, large);
  EXPECT_TRUE(tier.has(0) && !tier.has(1));
}

TEST(MemoryTier, OfAChainThatIsTooLongTheFrontStays) {
  Tier tier(3);
  for (int i = 0; i < 3; ++i) tier.add(i, i - 1);
  const MemoryTier::Inserted inserted = tier.add(3, 2);
  EXPECT_EQ(inserted.result, MemoryTier::Insert::kNoRoom);
  EXPECT_EQ(inserted.evicted, 0u);
  EXPECT_TRUE(tier.has(0) && tier.has(1) && tier.has(2) && !tier.has(3));
}

// The rules once more, by walking over everything at each step.
class Model {
 public:
  explicit Model(uint64_t capacity) : capacity_(capacity) {}
  void add(int number, int parent, int64_t keep, int64_t now) {
    if (!blocks_.contains(number)) {
      blocks_[number] = {.parent = parent};
      wish(number, keep, now);
      expire(now);
      while (blocks_.size() > capacity_) blocks_.erase(victim(number));
    } else {
      wish(number, keep, now);
    }
    if (blocks_.contains(number)) blocks_[number].used = ++tick_;
  }
  bool use(int number) {
    if (!blocks_.contains(number)) return false;
    blocks_[number].used = ++tick_;
    return true;
  }
  bool has(int number) const { return blocks_.contains(number); }

 private:
  struct Entry {
    int parent = -1;
    uint64_t used = 0;
    int64_t keep = 0;
  };
  void expire(int64_t now) {
    for (auto& [number, entry] : blocks_) {
      if (entry.keep <= now) entry.keep = 0;
    }
  }
  void wish(int number, int64_t keep, int64_t now) {
    Entry& entry = blocks_[number];
    if (keep <= now || keep <= entry.keep || capacity_ < 2) return;
    entry.keep = 0;
    while (true) {
      std::vector<std::pair<int64_t, int>> kept;
      for (const auto& [other, e] : blocks_) {
        if (e.keep > 0) kept.push_back({e.keep, other});
      }
      if (2 * (kept.size() + 1) <= capacity_) break;
      const auto soonest = *std::min_element(kept.begin(), kept.end());
      if (soonest.first >= keep) return;
      blocks_[soonest.second].keep = 0;
    }
    entry.keep = keep;
  }
  int victim(int newcomer) const {
    int best = -1;
    const auto rank = [&](int number) { return std::pair(blocks_.at(number).keep > 0, blocks_.at(number).used); };
    for (const auto& [number, entry] : blocks_) {
      const auto is_child = [&, n = number](const auto& e) { return e.second.parent == n; };
      if (number == newcomer || std::any_of(blocks_.begin(), blocks_.end(), is_child)) continue;
      if (best < 0 || rank(number) < rank(best)) best = number;
    }
    return best < 0 ? newcomer : best;
  }
  const uint64_t capacity_;
  std::map<int, Entry> blocks_;
  uint64_t tick_ = 0;
};

RC_GTEST_PROP(MemoryTier, DoesWhatTheNaiveModelDoes, ()) {
  const auto capacity = *rc::gen::inRange<uint64_t>(1, 9);
  Tier tier(capacity);
  Model model(capacity);
  int64_t now = 0;
  int64_t wishes = 0;
  const int steps = *rc::gen::inRange(1, 150);
  for (int i = 0; i < steps; ++i) {
    const int number = *rc::gen::inRange(0, 16);
    // A tree: the parent of n is (n - 1) / 2. Wishes end at different times, so that no order is left open.
    const int parent = number == 0 ? -1 : (number - 1) / 2;
    switch (*rc::gen::inRange(0, 4)) {
      case 0: RC_ASSERT((tier.use(number) != nullptr) == model.use(number)); break;
      case 1: now += *rc::gen::inRange(0, 20000); break;
      default: {
        const int64_t keep = *rc::gen::inRange(0, 3) == 0 ? now + *rc::gen::inRange(1, 40) * 1000 + ++wishes : 0;
        tier.add(number, parent, keep, now);
        model.add(number, parent, keep, now);
      }
    }
    for (int n = 0; n < 16; ++n) RC_ASSERT(tier.has(n) == model.has(n));
    RC_ASSERT(tier.bytes() == tier.blocks() * (kSize + 64));
  }
}

}  // namespace
}  // namespace payonce::kv
