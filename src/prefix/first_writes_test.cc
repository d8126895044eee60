#include "prefix/first_writes.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "prefix/routing_keys.h"

namespace payonce::prefix {
namespace {

constexpr base::Hash128 kA{1, 1}, kB{2, 2};

TEST(FirstWritesTest, OthersWaitForTheFirstAndGoOnTogether) {
  FirstWrites writes;
  int went = 0;
  const uint64_t first = writes.begin({kA});
  const uint64_t second = writes.begin({kA, kB});
  EXPECT_TRUE(writes.wait(kA, [&] { ++went; }));
  EXPECT_TRUE(writes.wait(kA, [&] { ++went; }));
  writes.done(second);
  EXPECT_EQ(went, 0) << "the second writes kB only";
  EXPECT_FALSE(writes.wait(kB, [] {}));
  writes.done(first);
  EXPECT_EQ(went, 2);
  EXPECT_FALSE(writes.is_written_now(kA));
  writes.done(first);  // a second time changes nothing
  EXPECT_EQ(went, 2);
}

TEST(RoutingKeysTest, ASiteKeepsTheFirstKeyWhateverSessionsSend) {
  RoutingKeys keys;
  EXPECT_EQ(keys.key_for(kA, "session-1", {1, 1}, 15, 0), "session-1");
  EXPECT_EQ(keys.key_for(kA, "session-2", {2, 2}, 15, 0), "session-1");
  EXPECT_EQ(keys.key_for(kA, "", {2, 2}, 15, 0), "session-1");
  EXPECT_EQ(keys.key_for(kB, "", {1, 1}, 15, 0), "payonce-0000000000000002");
}

TEST(RoutingKeysTest, ARateOverTheLimitIsSplitAndSessionsStay) {
  RoutingKeys keys;
  std::vector<std::string> before;
  for (uint64_t i = 0; i < 60; ++i) (void)keys.key_for(kA, "k", {i * 7919, i}, 15, 1000);
  std::set<std::string> used;
  for (uint64_t i = 0; i < 60; ++i) used.insert(keys.key_for(kA, "k", {i * 7919, i}, 0, 1000));
  EXPECT_GE(used.size(), 3u);
  for (uint64_t i = 0; i < 60; ++i) before.push_back(keys.key_for(kA, "k", {i * 7919, i}, 0, 1000));
  for (uint64_t i = 0; i < 60; ++i) EXPECT_EQ(keys.key_for(kA, "k", {i * 7919, i}, 0, 2000), before[i]);
}

}  // namespace
}  // namespace payonce::prefix
