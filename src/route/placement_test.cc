#include "route/placement.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>
#include <string>
#include <thread>

#include "route/placement_fixture.h"

namespace payonce::route {
namespace {

TEST_F(PlacementTest, OrderIsTheConfigurationsWhileNothingIsCached) {
  EXPECT_EQ(serve(chain_of({1, 2}), RoutingPolicy::kOrder, two()), "a");
  EXPECT_EQ(serve(chain_of({3}), RoutingPolicy::kOrder, {candidate("b"), candidate("a")}), "b");
  EXPECT_EQ(moves(Moved::kSticky), 0u);
}

TEST_F(PlacementTest, AConversationStaysWhereAFailoverTookIt) {
  EXPECT_EQ(serve(chain_of({1, 2}), RoutingPolicy::kOrder, two(), 1), "b");
  EXPECT_EQ(moves(Moved::kSpilled), 1u);
  EXPECT_EQ(serve(chain_of({1, 2, 3}), RoutingPolicy::kOrder, two()), "b");
  EXPECT_EQ(serve(chain_of({9}), RoutingPolicy::kOrder, two()), "a");  // another conversation
  EXPECT_EQ(moves(Moved::kSticky), 1u);
}

TEST_F(PlacementTest, ItGoesBackWhenTheCacheHasForgotten) {
  serve(chain_of({1, 2}), RoutingPolicy::kOrder, two(), 1);
  now_ms += 5 * kMinute_ms + 1;
  EXPECT_EQ(serve(chain_of({1, 2, 3}), RoutingPolicy::kOrder, two()), "a");
}

TEST_F(PlacementTest, ItGoesBackWhenThatIsCheaperWithTheRebuildingOfThePrefix) {
  const Chain chain = chain_of({1, 2, 3, 4, 5, 6, 7, 8}, 10'000);
  const Rates dear{.read = 0.1, .write = 1, .output = 5};
  const auto at = [&](double factor) {
    return std::vector<Candidate>{candidate("a", {.read = 0.1 * factor, .write = factor, .output = 5 * factor}),
                                  candidate("b", dear)};
  };
  for (const uint32_t turns : {2u, 20u}) {
    placement = std::make_shared<Placement>(Placement::Options{});
    serve(chain, RoutingPolicy::kOrder, at(0.5), 1, turns);
    // 80,000 tokens at 0.5 against 0.1: with two turns to come that is not saved again, with eight it is.
    EXPECT_EQ(plan(chain, RoutingPolicy::kOrder, at(0.5), turns)->order().front()->name, turns == 2 ? "b" : "a");
    EXPECT_EQ(moves(Moved::kCheaper), turns == 2 ? 0u : 1u);
  }
}

TEST_F(PlacementTest, WhenItsPlaceIsGoneTheNextOneWithThePrefixComesBeforeTheOthers) {
  const std::vector<Candidate> three{candidate("a"), candidate("b"), candidate("c")};
  serve(chain_of({1, 2, 3}), RoutingPolicy::kOrder, three, 2);  // c
  for (int i = 0; i < 5; ++i) upstreams["a"]->breaker->failed(now_ms);
  EXPECT_EQ(serve(chain_of({1, 2}), RoutingPolicy::kOrder, three, 1), "b");
  EXPECT_EQ(serve(chain_of({1, 2, 3, 4}), RoutingPolicy::kOrder, three), "c");
  for (int i = 0; i < 5; ++i) upstreams["c"]->breaker->failed(now_ms);
  const auto trip = plan(chain_of({1, 2, 3, 4, 5}), RoutingPolicy::kOrder, three);
  EXPECT_EQ(trip->order()[0]->name, "b");
  EXPECT_EQ(trip->order()[1]->name, "a");
}

TEST_F(PlacementTest, CostTakesTheCheapestAndCountsWhatStayingSaves) {
  const std::vector<Candidate> dear_first{candidate("a", {.read = 0.1, .write = 1, .output = 5}),
                                          candidate("b", {.read = 0.09, .write = 0.9, .output = 4.5})};
  EXPECT_EQ(serve(chain_of({1, 2}), RoutingPolicy::kCost, dear_first), "b");
  EXPECT_EQ(serve(chain_of({5, 6, 7, 8, 9}, 20'000), RoutingPolicy::kCost, dear_first, 1), "a");  // b refused it
  EXPECT_EQ(serve(chain_of({5, 6, 7, 8, 9, 1}, 20'000), RoutingPolicy::kCost, dear_first), "a");
}

TEST_F(PlacementTest, BalanceGoesToThePrefixUnlessItsQueueIsLongerThanTheRebuilding) {
  const Chain shared = chain_of({1, 2, 3, 4});
  const std::string home = serve(shared, RoutingPolicy::kBalance, two());
  const std::string other = home == "a" ? "b" : "a";
  EXPECT_EQ(serve(chain_of({1, 2, 3, 4, 5}), RoutingPolicy::kBalance, two()), home);
  now_ms += kMinute_ms;                        // what was computed until now weighs no more
  std::vector<std::unique_ptr<Trip>> waiting;  // new prompts of 3,000 tokens that wait at `home`
  const auto wait = [&](uint64_t block) {
    waiting.push_back(plan(chain_of({block, 8, 9}), RoutingPolicy::kBalance, {candidate(home)}));
    waiting.back()->began(upstreams[home], now_ms * 1000);
  };
  wait(100);
  EXPECT_EQ(plan(chain_of({1, 2, 3, 4, 6}), RoutingPolicy::kBalance, two())->order().front()->name, home);
  for (uint64_t i = 0; i < 3; ++i) wait(200 + i);
  EXPECT_EQ(plan(chain_of({1, 2, 3, 4, 7}), RoutingPolicy::kBalance, two())->order().front()->name, other);
  EXPECT_EQ(moves(Moved::kBalanced), 1u);
}

TEST_F(PlacementTest, EqualNewPrefixesOnTheirWayMeet) {
  const Chain chain = chain_of({1, 2, 3});
  std::vector<std::unique_ptr<Trip>> trips;
  for (int i = 0; i < 4; ++i) {
    trips.push_back(plan(chain, RoutingPolicy::kBalance, two()));
    trips.back()->began(trips.back()->order().front(), now_ms * 1000);
    EXPECT_EQ(trips.back()->order().front()->name, trips.front()->order().front()->name);
  }
}

TEST_F(PlacementTest, NewPrefixesAreSpreadOverIdleReplicas) {
  std::map<std::string, int> counts;
  for (uint64_t i = 0; i < 100; ++i)
    ++counts[plan(chain_of({1000 + i}), RoutingPolicy::kBalance, two())->order().front()->name];
  EXPECT_GT(counts["a"], 25);
  EXPECT_GT(counts["b"], 25);
}

TEST_F(PlacementTest, AnOpenBreakerComesLastUnderEachPolicy) {
  for (const auto& [name, policy] : kRoutingPolicies) {
    placement = std::make_shared<Placement>(Placement::Options{});
    upstreams.clear();
    serve(chain_of({1, 2}), policy, {candidate("a")});
    for (int i = 0; i < 5; ++i) upstreams["a"]->breaker->failed(now_ms);
    EXPECT_EQ(serve(chain_of({1, 2, 3}), policy, two()), "b") << name;
  }
}

TEST_F(PlacementTest, WhatWasNeverAnsweredIsNotRemembered) {
  plan(chain_of({1, 2}), RoutingPolicy::kOrder, {candidate("b")});
  EXPECT_EQ(placement->stats().upstreams.at(0).prefixes, 0u);
  EXPECT_EQ(serve(chain_of({1, 2}), RoutingPolicy::kOrder, two()), "a");
}

TEST_F(PlacementTest, ABillWithoutReadsMakesItForgetWhatIsOlder) {
  const std::vector<Candidate> both = two();
  serve(chain_of({7, 8}), RoutingPolicy::kOrder, both, 1);
  now_ms += 1000;
  serve(chain_of({1, 2}), RoutingPolicy::kOrder, both, 1);
  now_ms += 1000;
  const auto trip = plan(chain_of({1, 2, 3}), RoutingPolicy::kOrder, both);
  EXPECT_EQ(trip->expected_tokens(), 2000);
  trip->began(trip->order().front(), 0);
  trip->answered(now_ms, 0);
  trip->billed({.fresh = 6000, .known = true, .read_known = true});  // our counts are estimates: 4,000 were expected
  const auto stats = placement->stats().upstreams.at(1);
  EXPECT_EQ(stats.name, "b");
  EXPECT_EQ(stats.expected, 4000u);
  EXPECT_EQ(stats.read, 0u);
  EXPECT_LT(stats.kept, 1);
  EXPECT_EQ(plan(chain_of({7, 8, 9}), RoutingPolicy::kOrder, both)->order().front()->name, "a");
  EXPECT_EQ(plan(chain_of({1, 2, 3, 4}), RoutingPolicy::kOrder, both)->order().front()->name, "b");
}

TEST_F(PlacementTest, ABillThatSaysNothingOfReadsTeachesNothing) {
  serve(chain_of({1, 2}), RoutingPolicy::kOrder, two());
  const auto trip = plan(chain_of({1, 2, 3}), RoutingPolicy::kOrder, two());
  trip->began(trip->order().front(), 0);
  trip->answered(now_ms, 0);
  trip->billed({.fresh = 3000, .known = true});
  EXPECT_EQ(placement->stats().upstreams.at(0).kept, 1);
}

TEST_F(PlacementTest, NewSessionsWithOneFrontAreNotAllGatheredInOnePlace) {
  std::map<std::string, int> counts;
  for (uint64_t i = 0; i < 8; ++i) {  // a common front of 1,000 tokens, and 9,000 of their own
    Chain chain{{{1, 1}, 1000}, {{i + 2, 9}, 10'000}};
    ++counts[serve(chain, RoutingPolicy::kBalance, two())];
    now_ms += 1000;
  }
  EXPECT_GE(counts["a"], 2);
  EXPECT_GE(counts["b"], 2);
}

TEST_F(PlacementTest, ManyThreadsAtOnce) {
  const std::vector<Candidate> both = two();
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < 500; ++i) {
        const auto trip = placement->plan({.policy = RoutingPolicy::kBalance,
                                           .candidates = both,
                                           .chain = chain_of({t % 2, i % 7, i}),
                                           .stream = true},
                                          now_ms);
        trip->began(trip->order().front(), 0);
        trip->answered(now_ms, 1000);
        trip->billed({.fresh = 3000, .known = true, .read_known = true});
        trip->ended();
      }
    });
  for (std::thread& thread : threads) thread.join();
  uint64_t requests = 0;
  for (const auto& upstream : placement->stats().upstreams) {
    requests += upstream.requests;
    EXPECT_EQ(upstream.in_flight, 0);
  }
  EXPECT_EQ(requests, 2000u);
}

TEST_F(PlacementTest, AccountsShareNothing) {
  std::vector<Candidate> mine = two(), yours = two();
  for (Candidate& one : yours) one.account = {7, 7};
  serve(chain_of({1, 2}), RoutingPolicy::kOrder, mine, 1);
  EXPECT_EQ(serve(chain_of({1, 2, 3}), RoutingPolicy::kOrder, yours), "a");
}

TEST_F(PlacementTest, RequestsInFlightAreCountedWhereTheyAre) {
  {
    const auto trip = plan(chain_of({1}), RoutingPolicy::kOrder, two());
    trip->began(trip->order()[0], 0);
    EXPECT_EQ(placement->stats().upstreams.at(0).in_flight, 1);
    trip->began(trip->order()[1], 0);
    EXPECT_EQ(placement->stats().upstreams.at(0).in_flight, 0);
    EXPECT_EQ(placement->stats().upstreams.at(1).in_flight, 1);
  }
  EXPECT_EQ(placement->stats().upstreams.at(1).in_flight, 0);
}

TEST_F(PlacementTest, AQuickReplicaGetsMore) {
  const std::vector<Candidate> both = two();
  for (uint64_t i = 0; i < 20; ++i) {
    for (const Candidate& one : both) {
      const auto trip = plan(chain_of({i * 2, 5}), RoutingPolicy::kBalance, {one});
      trip->began(one.upstream, 0);
      trip->answered(now_ms, one.upstream->name == "a" ? 2'000'000 : 200'000);
    }
  }
  const auto stats = placement->stats().upstreams;
  EXPECT_NEAR(stats.at(0).us_per_token, 1000, 1);
  EXPECT_NEAR(stats.at(1).us_per_token, 100, 1);
  EXPECT_EQ(plan(chain_of({777}), RoutingPolicy::kBalance, both)->order().front()->name, "b");
}

TEST(PrefixMemory, ALongChainKeepsTheSameLinksAsItGrows) {
  Chain chain;
  for (uint32_t i = 0; i < 5000; ++i) chain.push_back({{i, i}, i + 1});
  const Chain whole = thinned(chain);
  EXPECT_LE(whole.size(), kMaxLinks);
  EXPECT_EQ(whole.back().tokens, 5000u);
  PrefixMemory memory(100'000);
  memory.use(thinned({chain.begin(), chain.begin() + 4000}), {}, PrefixMemory::State::kServed, 1);
  EXPECT_GE(memory.find(whole, {}, 0, 2).tokens, 3990u);
}

TEST(PrefixMemory, FindsTheLongestPrefixAsANaiveSearchWould) {
  EXPECT_TRUE(rc::check([] {
    PrefixMemory memory(1'000'000);
    std::vector<std::vector<uint64_t>> known;
    const int rounds = *rc::gen::inRange(1, 30);
    for (int round = 0; round < rounds; ++round) {
      const auto blocks = *rc::gen::container<std::vector<uint64_t>>(rc::gen::inRange<uint64_t>(0, 3));
      Chain chain;
      uint64_t hash = 1;
      for (const uint64_t block : blocks) {
        hash = hash * 1'000'003 + block + 1;
        chain.push_back({{hash, hash}, static_cast<uint32_t>(chain.size() + 1)});
      }
      size_t longest = 0;
      for (const auto& other : known) {
        const auto end = std::mismatch(blocks.begin(), blocks.end(), other.begin(), other.end()).first;
        longest = std::max(longest, static_cast<size_t>(end - blocks.begin()));
      }
      RC_ASSERT(memory.find(chain, {}, 0, round).links == longest);
      memory.use(chain, {}, PrefixMemory::State::kServed, round);
      known.push_back(blocks);
    }
  }));
}

TEST_F(PlacementTest, TheOrderIsAPermutationAndMemoryIsBounded) {
  EXPECT_TRUE(rc::check([this] {
    constexpr size_t kPositions = 50, kUpstreams = 5;
    placement =
        std::make_shared<Placement>(Placement::Options{.max_positions = kPositions, .max_upstreams = kUpstreams});
    std::vector<std::unique_ptr<Trip>> open;
    const int rounds = *rc::gen::inRange(1, 60);
    for (int round = 0; round < rounds; ++round) {
      std::vector<Candidate> candidates;
      const int first = *rc::gen::inRange(0, 5), count = *rc::gen::inRange(1, 4);
      for (int i = 0; i < count; ++i) candidates.push_back(candidate(std::to_string(first + i)));
      Chain chain;
      const auto blocks = *rc::gen::inRange<uint64_t>(0, 20);
      for (uint64_t i = 1; i <= blocks; ++i)
        chain.push_back({{i * 31, *rc::gen::inRange<uint64_t>(0, 3)}, static_cast<uint32_t>(i * 100)});
      const auto policy = *rc::gen::element(RoutingPolicy::kOrder, RoutingPolicy::kBalance, RoutingPolicy::kCost);
      auto trip = plan(chain, policy, candidates);
      std::vector<UpstreamPtr> given, ranked = trip->order();
      for (const Candidate& one : candidates) given.push_back(one.upstream);
      RC_ASSERT(std::is_permutation(given.begin(), given.end(), ranked.begin(), ranked.end()));
      if (*rc::gen::inRange(0, 3) > 0) trip->began(*rc::gen::elementOf(ranked), now_ms);
      if (*rc::gen::inRange(0, 2) > 0) trip->answered(now_ms, now_ms + 5);
      if (*rc::gen::inRange(0, 2) > 0) open.push_back(std::move(trip));
      now_ms += 1000;
    }
    open.clear();
    const auto stats = placement->stats();
    RC_ASSERT(stats.upstreams.size() <= kUpstreams);
    for (const auto& upstream : stats.upstreams) {
      RC_ASSERT(upstream.prefixes <= kPositions);
      RC_ASSERT(upstream.in_flight == 0);
    }
  }));
}

}  // namespace
}  // namespace payonce::route
