#include "kv_events/feed.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "kv_events/test_batches.h"

namespace payonce::kv_events {
namespace {

// A publisher that keeps its batches: number n stores the block of tokens {n, n} behind that of n − 1.
struct FeedTest : testing::Test {
  static std::string batch(uint64_t number) {
    return test::batch({test::encoded({.hashes = {number + 1},
                                       .parent = number,
                                       .tokens = {static_cast<uint32_t>(number), static_cast<uint32_t>(number)},
                                       .block_size = 2})});
  }
  Feed make(bool with_replay = true) {
    if (!with_replay) return Feed(clock, index, {});
    return Feed(clock, index, [this](uint64_t first, const auto& take) {
      asked.push_back(first);
      size_t sent = 0;
      for (auto it = kept.lower_bound(first); it != kept.end(); ++it) {
        if (sent++ == most) return false;
        take(it->first, it->second);
      }
      return answers;
    });
  }
  void publish(uint64_t first, uint64_t last) {
    for (uint64_t number = first; number <= last; ++number) kept[number] = batch(number);
  }
  size_t held() const {
    std::vector<uint32_t> tokens;
    for (uint32_t i = 0; i < 100; ++i) tokens.insert(tokens.end(), 2, i);
    return index.cached_tokens(tokens, "m") / 2;
  }

  base::FakeClock clock{1'790'000'000'250};
  BlockIndex index;
  std::map<uint64_t, std::string> kept;
  std::vector<uint64_t> asked;
  size_t most = SIZE_MAX;
  bool answers = true;
};

TEST_F(FeedTest, WhatWasPublishedBeforeIsAskedForAndTheRestIsFollowed) {
  Feed feed = make();
  publish(0, 4);
  feed.connected();
  EXPECT_EQ(held(), 5u);
  EXPECT_TRUE(index.state().complete);
  feed.came(4, batch(4));  // it was on its way twice
  feed.came(5, batch(5));
  EXPECT_EQ(held(), 6u);
  EXPECT_EQ(feed.stats().batches, 6u);
  EXPECT_EQ(feed.stats().gaps, 0u);
  EXPECT_EQ(feed.stats().lag_ms, 250);
}

TEST_F(FeedTest, AnEngineThatStoredNothingYetIsKnownToHoldNothing) {
  Feed feed = make();
  feed.connected();
  EXPECT_TRUE(index.state().complete);
  Feed silent = make(false);
  silent.connected();
  EXPECT_FALSE(index.state().complete);  // nobody says so
  silent.came(0, batch(0));
  EXPECT_TRUE(index.state().complete);  // it begins
}

TEST_F(FeedTest, MissingBatchesAreAskedFor) {
  Feed feed = make();
  feed.connected();
  publish(0, 5);
  feed.came(0, batch(0));
  feed.came(5, batch(5));
  EXPECT_EQ(asked.back(), 1u);
  EXPECT_EQ(held(), 6u);
  EXPECT_TRUE(index.state().complete);
  EXPECT_EQ(feed.stats().gaps, 1u);
  EXPECT_EQ(feed.stats().lost, 0u);
}

TEST_F(FeedTest, AReplayThatStopsInTheMiddleIsContinued) {
  Feed feed = make();
  publish(0, 9);
  most = 3;
  feed.connected();
  EXPECT_EQ(asked, (std::vector<uint64_t>{0, 3, 6, 9}));
  EXPECT_EQ(held(), 10u);
}

TEST_F(FeedTest, WhatCannotBeHadMakesAllVoid) {
  Feed feed = make(false);
  feed.connected();
  feed.came(0, batch(0));
  feed.came(1, batch(1));
  EXPECT_EQ(held(), 2u);
  feed.came(4, batch(4));
  EXPECT_EQ(held(), 0u);
  EXPECT_EQ(index.state().blocks, 0u);  // the new one has no parent that we know
  EXPECT_FALSE(index.state().complete);
  EXPECT_EQ(feed.stats().lost, 2u);
}

TEST_F(FeedTest, WhatThePublisherNoLongerKeepsIsLost) {
  Feed feed = make();
  publish(0, 1);
  feed.connected();
  kept.clear();
  publish(6, 9);
  feed.came(9, batch(9));
  EXPECT_EQ(held(), 0u);
  EXPECT_FALSE(index.state().complete);
  EXPECT_EQ(feed.stats().lost, 4u);
  EXPECT_EQ(feed.stats().batches, 6u);
}

TEST_F(FeedTest, ALostConnectionMakesAllVoidUntilItIsCaughtUp) {
  Feed feed = make();
  publish(0, 3);
  feed.connected();
  feed.disconnected();
  EXPECT_EQ(held(), 0u);
  EXPECT_FALSE(index.state().complete);
  publish(4, 5);
  feed.connected();
  EXPECT_EQ(held(), 6u);
  EXPECT_EQ(index.state().losses, 0u);  // the same engine
}

TEST_F(FeedTest, NumbersThatGoBackAreAnotherEngine) {
  Feed feed = make();
  publish(0, 5);
  feed.connected();
  feed.disconnected();
  kept.clear();
  publish(0, 1);
  feed.connected();
  EXPECT_EQ(held(), 2u);
  EXPECT_EQ(index.state().losses, 1u);
  EXPECT_EQ(feed.stats().restarts, 1u);
}

TEST_F(FeedTest, NumbersThatGoBackWithoutAReplayAreFoundByTheNextBatch) {
  Feed feed = make(false);
  feed.connected();
  for (uint64_t number = 0; number < 4; ++number) feed.came(number, batch(number));
  feed.came(0, batch(0));  // within one connection: there is a proxy between
  EXPECT_EQ(index.state().losses, 1u);
  EXPECT_EQ(held(), 1u);
  feed.came(1, batch(1));
  feed.disconnected();
  feed.connected();
  feed.came(1, batch(1));
  EXPECT_EQ(index.state().losses, 2u);
  EXPECT_FALSE(index.state().complete);
}

TEST_F(FeedTest, AnUnreadableBatchMakesAllVoid) {
  Feed feed = make(false);
  feed.connected();
  feed.came(0, batch(0));
  feed.came(1, "\xc1");
  EXPECT_EQ(held(), 0u);
  EXPECT_FALSE(index.state().complete);
  EXPECT_EQ(feed.stats().unreadable, 1u);
}

}  // namespace
}  // namespace payonce::kv_events
