// For tests: a placement, upstreams by name, and requests that are served at once.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "route/placement.h"

namespace payonce::route {

inline constexpr int64_t kMinute_ms = 60'000;

inline Chain chain_of(std::initializer_list<uint64_t> blocks, uint32_t block_tokens = 1000) {
  Chain out;
  uint64_t hash = 1;
  for (const uint64_t block : blocks) {
    hash = hash * 1'000'003 + block;
    out.push_back({{hash, hash}, block_tokens * static_cast<uint32_t>(out.size() + 1)});
  }
  return out;
}

struct PlacementTest : testing::Test {
  Candidate candidate(const std::string& name, Rates rates = {.read = 0.1}) {
    auto& upstream = upstreams[name];
    if (!upstream) {
      auto made = std::make_shared<Upstream>();
      made->name = made->identity = name;
      upstream = std::move(made);
    }
    return {.upstream = upstream, .ttl_ms = 5 * kMinute_ms, .rates = rates};
  }
  std::unique_ptr<Trip> plan(const Chain& chain, RoutingPolicy policy, std::vector<Candidate> candidates,
                             uint32_t turns = 1) {
    return placement->plan(
        {.policy = policy, .candidates = std::move(candidates), .chain = chain, .turns = turns, .stream = true},
        now_ms);
  }
  // Asks and is answered by the `answers`-th of the ranked ones; who that was.
  std::string serve(const Chain& chain, RoutingPolicy policy, std::vector<Candidate> candidates, size_t answers = 0,
                    uint32_t turns = 1) {
    const auto trip = plan(chain, policy, std::move(candidates), turns);
    for (size_t i = 0; i <= answers; ++i) trip->began(trip->order()[i], now_ms * 1000);
    trip->answered(now_ms, now_ms * 1000 + 1000);
    trip->ended();
    return trip->at()->name;
  }
  std::vector<Candidate> two() { return {candidate("a"), candidate("b")}; }
  uint64_t moves(Moved moved) const { return placement->stats().moved[static_cast<size_t>(moved)]; }

  std::map<std::string, UpstreamPtr> upstreams;
  std::shared_ptr<Placement> placement = std::make_shared<Placement>(Placement::Options{});
  int64_t now_ms = 1'000'000;
};

}  // namespace payonce::route
