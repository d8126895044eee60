#include "kv_events/block_index.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kv_events/test_batches.h"

namespace payonce::kv_events {
namespace {

using Tokens = std::vector<uint32_t>;

void apply(BlockIndex& index, const std::vector<std::string>& events) {
  const std::string payload = test::batch(events);
  index.apply(decode_batch(payload).value());
}
std::string stored(std::vector<uint64_t> hashes, uint64_t parent, Tokens tokens, const std::string& medium = "GPU") {
  return test::encoded({.hashes = std::move(hashes),
                        .parent = parent,
                        .tokens = std::move(tokens),
                        .block_size = 2,
                        .medium = medium});
}

struct BlockIndexTest : testing::Test {
  BlockIndexTest() { index.clear(BlockIndex::Then::kComplete); }
  BlockIndex index;
};

TEST_F(BlockIndexTest, APrefixIsHeldAsFarAsItsWholeBlocks) {
  apply(index, {stored({11, 12}, 0, {1, 2, 3, 4}), stored({13}, 12, {5, 6})});
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2, 3, 4, 5, 6, 7}, "m"), 6u);
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2, 3}, "m"), 2u);
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2, 9, 4, 5, 6}, "m"), 2u);
  EXPECT_EQ(index.cached_tokens(Tokens{3, 4}, "m"), 0u);  // the same block elsewhere is another
  EXPECT_EQ(index.cached_tokens(Tokens{}, "m"), 0u);
  EXPECT_EQ(index.state().blocks, 3u);
  EXPECT_EQ(index.state().tokens, 6u);
}

TEST_F(BlockIndexTest, RemovedAndClearedBlocksAreGone) {
  apply(index, {stored({11, 12}, 0, {1, 2, 3, 4})});
  apply(index, {test::removed({12, 99})});
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2, 3, 4}, "m"), 2u);
  EXPECT_EQ(index.state().losses, 0u);
  apply(index, {test::cleared()});
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2, 3, 4}, "m"), 0u);
  EXPECT_EQ(index.state().losses, 1u);
  EXPECT_TRUE(index.state().complete);
  EXPECT_EQ(index.state().tokens, 0u);
}

TEST_F(BlockIndexTest, ABlockOfAnotherMediumStaysUntilThatIsGoneToo) {
  apply(index,
        {stored({11}, 0, {1, 2}), test::encoded({.hashes = {11, 77}, .tokens = {}, .block_size = 2, .medium = "CPU"}),
         test::removed({11})});
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2}, "m"), 2u);
  apply(index, {test::removed({11}, "CPU")});
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2}, "m"), 0u);
}

TEST_F(BlockIndexTest, WhatAnotherHashNamesIsTheSameBlock) {  // a restart with another seed, two groups of layers
  apply(index, {stored({11}, 0, {1, 2}), stored({21}, 0, {1, 2}), test::removed({11})});
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2}, "m"), 2u);
  EXPECT_EQ(index.state().tokens, 2u);
}

TEST_F(BlockIndexTest, AnAdaptersBlocksServeItAlone) {
  apply(index, {test::encoded({.hashes = {1}, .tokens = {1, 2}, .block_size = 2, .adapter = "sql", .extra = {"sql"}}),
                test::encoded({.hashes = {2}, .tokens = {3, 4}, .block_size = 2, .extra = {"salt"}})});
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2}, "sql"), 2u);
  EXPECT_EQ(index.cached_tokens(Tokens{1, 2}, "m"), 0u);
  EXPECT_EQ(index.cached_tokens(Tokens{3, 4}, "m"), 0u);  // salted: whose salt, we do not know
}

TEST_F(BlockIndexTest, WithoutItsParentABlockIsNotTakenIn) {
  apply(index, {stored({13}, 12, {5, 6})});
  EXPECT_EQ(index.state().blocks, 0u);
  EXPECT_EQ(index.state().orphans, 1u);
}

TEST_F(BlockIndexTest, WhatDoesNotFitMakesItIncomplete) {
  BlockIndex small(2);
  small.clear(BlockIndex::Then::kComplete);
  apply(small, {stored({1, 2, 3}, 0, {1, 2, 3, 4, 5, 6})});
  EXPECT_EQ(small.state().blocks, 2u);
  EXPECT_FALSE(small.state().complete);
  EXPECT_EQ(small.cached_tokens(Tokens{1, 2, 3, 4, 5, 6}, "m"), 4u);
}

// A cache of one group of layers as a plain set of prefixes.
TEST(BlockIndexProperty, ItAgreesWithAPlainModel) {
  rc::check([](const std::vector<std::pair<uint8_t, uint8_t>>& steps) {
    BlockIndex index;
    std::map<uint64_t, Tokens> by_hash;  // the whole prefix of each block
    for (const auto& [action, value] : steps) {
      const uint64_t pick = value % (by_hash.size() + 1);
      const auto at = std::next(by_hash.begin(), static_cast<ptrdiff_t>(pick));
      if (action % 4 == 0 && at != by_hash.end()) {
        apply(index, {test::removed({at->first})});
        by_hash.erase(at);
        continue;
      }
      Tokens prefix = at == by_hash.end() ? Tokens() : at->second;
      const uint64_t parent = at == by_hash.end() ? 0 : at->first;
      const Tokens block{static_cast<uint32_t>(action % 3), static_cast<uint32_t>(value % 3)};
      prefix.insert(prefix.end(), block.begin(), block.end());
      uint64_t hash = 1;
      for (const uint32_t token : prefix) hash = hash * 5 + token + 1;
      apply(index, {stored({hash}, parent, block)});
      by_hash[hash] = prefix;
    }
    std::set<Tokens> held;
    for (const auto& [hash, prefix] : by_hash) held.insert(prefix);
    RC_ASSERT(index.state().blocks == by_hash.size());
    for (const auto& [hash, prefix] : by_hash) {
      size_t expected = 0;
      while (expected < prefix.size() &&
             held.contains(Tokens(prefix.begin(), prefix.begin() + static_cast<ptrdiff_t>(expected) + 2)))
        expected += 2;
      RC_ASSERT(index.cached_tokens(prefix, "m") == expected);
    }
  });
}

}  // namespace
}  // namespace payonce::kv_events
