// What engines tell of their caches, and what becomes of the guess.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "route/placement.h"
#include "route/placement_fixture.h"

namespace payonce::route {
namespace {

Candidate told(Candidate candidate, Told what) {
  candidate.told = what;
  return candidate;
}

TEST_F(PlacementTest, ARequestGoesToTheEngineThatSaysItHoldsThePrefix) {
  const Chain chain = chain_of({1, 2, 3, 4});
  for (const std::string holder : {"a", "b"}) {
    const auto tell = [&](const std::string& name) {
      return told(candidate(name), {.complete = true, .tokens = 9000, .known = 1, .held = name == holder ? 0.75 : 0});
    };
    const auto trip = plan(chain, RoutingPolicy::kBalance, {tell("a"), tell("b")});
    EXPECT_EQ(trip->order()[0]->name, holder);
    EXPECT_EQ(trip->expected_tokens(), 3000);
  }
}

TEST_F(PlacementTest, TheEnginesWordVoidsWhatWasBelieved) {
  const Chain chain = chain_of({1, 2, 3, 4});
  ASSERT_EQ(serve(chain, RoutingPolicy::kBalance, {candidate("a")}), "a");
  const auto expected = [&](Told what) {
    return plan(chain, RoutingPolicy::kBalance, {told(candidate("a"), what)})->expected_tokens();
  };
  EXPECT_EQ(expected({.tokens = 0, .known = 1, .held = 0}), 4000);  // it may hold more than it told
  EXPECT_EQ(expected({.complete = true, .tokens = 9000}), 4000);    // no tokens are known
  EXPECT_EQ(expected({.complete = true, .tokens = 9000, .known = 1, .held = 0.5}), 2000);
  EXPECT_EQ(expected({.complete = true, .tokens = 9000, .known = 0.5, .held = 0.5}), 4000);  // the rest is believed
  EXPECT_EQ(expected({.complete = true, .tokens = 9000, .known = 0.5, .held = 0.25}), 1000);
}

TEST_F(PlacementTest, AClearedCacheIsForgottenThoughNoTokensAreKnown) {
  const Chain chain = chain_of({1, 2, 3, 4});
  const auto tell = [&](Told what) { return std::vector{told(candidate("a"), what), candidate("b")}; };
  serve(chain, RoutingPolicy::kBalance, {candidate("a")});
  EXPECT_EQ(plan(chain, RoutingPolicy::kBalance, tell({}))->order()[0]->name, "a");
  EXPECT_EQ(plan(chain, RoutingPolicy::kBalance, tell({.losses = 1}))->expected_tokens(), 0);
}

TEST_F(PlacementTest, WhatAnEngineCannotHoldAnyMoreIsForgotten) {
  serve(chain_of({1, 2}), RoutingPolicy::kBalance, {candidate("a")});
  serve(chain_of({3, 4}), RoutingPolicy::kBalance, {candidate("a")});
  const auto expected = [&](const Chain& chain) {
    const auto trip = plan(chain, RoutingPolicy::kBalance,
                           {told(candidate("a"), {.complete = true, .tokens = 1000})});  // twice that may be believed
    return trip->expected_tokens();
  };
  EXPECT_EQ(expected(chain_of({3, 4})), 2000);
  EXPECT_EQ(expected(chain_of({1, 2})), 0);
}

TEST_F(PlacementTest, WhatIsOnItsWayIsExpectedBeforeTheEngineTellsOfIt) {
  const Chain chain = chain_of({1, 2, 3, 4});
  const auto tell = [&](const std::string& name) { return told(candidate(name), {.complete = true, .known = 1}); };
  const auto first = plan(chain, RoutingPolicy::kBalance, {tell("a"), tell("b")});
  const auto second = plan(chain, RoutingPolicy::kBalance, {tell("a"), tell("b")});
  EXPECT_EQ(second->order()[0], first->order()[0]);
}

}  // namespace
}  // namespace payonce::route
