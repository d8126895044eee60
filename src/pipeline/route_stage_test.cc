// Routing between the two halves, without a socket: what a fetch would do is written out in serve().
#include "pipeline/route_stage.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <variant>

#include "base/env.h"
#include "pipeline/pipeline.h"

namespace payonce::pipeline {
namespace {

const std::string kRules(20'000, 'r');

struct RouteStageTest : testing::Test {
  RouteStageTest() { set_policy(route::RoutingPolicy::kOrder); }

  void set_policy(route::RoutingPolicy routing, double second_price = 1) {
    Policy policy;
    std::vector<route::UpstreamPtr> upstreams;
    for (const std::string name : {"one", "two"}) {
      auto upstream = std::make_shared<route::Upstream>();
      upstream->name = name;
      upstream->identity = upstream->base_url = "https://" + name + ".openai.com/v1";
      if (name == "two") upstream->price_factor = second_price;
      upstreams.push_back(std::move(upstream));
    }
    policy.generation = ++generation;
    policy.callers = identity::Callers({.salt = "salt", .keys = {}});
    policy.routes = route::Routes(std::move(upstreams));
    policy.prices = llm::PriceTable::built_in();
    policy.routing = routing;
    const auto made = std::make_shared<const Policy>(std::move(policy));
    if (pipeline)
      pipeline->set_policy(made);
    else
      pipeline = std::make_unique<Pipeline>(Pipeline::Parts{.clock = clock,
                                                            .metrics = metrics,
                                                            .store = *store,
                                                            .ledger = ledger,
                                                            .limits = limits,
                                                            .profiles = identity::Profiles::built_in().value()},
                                            made);
  }
  static std::string body(const std::string& session, int turns) {
    std::string messages = fmt::format(R"({{"role":"system","content":"{}{}"}})", session, kRules);
    for (int i = 0; i < turns; ++i) {
      messages += fmt::format(R"(,{{"role":"user","content":"question {}"}})", i);
      if (i + 1 < turns) messages += fmt::format(R"(,{{"role":"assistant","content":"answer {}"}})", i);
    }
    return fmt::format(R"({{"model":"gpt-4o","messages":[{}]}})", messages);
  }
  Forward arranged(const std::string& text, std::string_view caller = "sk-1") {
    net::RequestHead head{.method = "POST", .target = "/v1/chat/completions"};
    head.headers.add("Authorization", fmt::format("Bearer {}", caller));
    head.headers.add("Cache-Control", "no-cache");
    Pipeline::Spent spent;
    const base::Bytes bytes = base::Bytes::copy(text);
    auto decision = pipeline->before({head, bytes, llm::Dialect::kOpenAiChat}, spent);
    auto& forward = std::get<Forward>(decision);
    pipeline->arrange(forward, bytes);
    return std::move(forward);
  }
  std::string serve(const std::string& text, size_t answers = 0, int64_t cached = 5000) {
    const Forward forward = arranged(text);
    for (size_t i = 0; i <= answers; ++i) forward.trip->began(forward.candidates.at(i), 0);
    forward.trip->answered(clock.unix_ms(), 0);
    judged = pipeline->after(
        forward, {.content_type = "application/json",
                  .body = fmt::format(R"({{"model":"gpt-4o","choices":[{{"index":0,"message":{{"role":"assistant",)"
                                      R"("content":"yes"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":5100,)"
                                      R"("completion_tokens":0,"prompt_tokens_details":{{"cached_tokens":{}}}}}}})",
                                      cached)});
    forward.trip->ended();
    return forward.candidates.at(answers)->name;
  }

  base::FakeClock clock;
  base::Metrics metrics;
  base::PosixEnv env;
  base::WorkerPool pool{{.threads = 1}};
  std::unique_ptr<cache::ResponseStore> store = cache::ResponseStore::open({}, env, clock, pool, metrics);
  record::Ledger ledger{"", clock, metrics};
  route::Limits limits;
  std::unique_ptr<Pipeline> pipeline;
  Judged judged;
  uint64_t generation = 0;
};

TEST_F(RouteStageTest, ASessionStaysWhereAFailoverTookIt) {
  EXPECT_EQ(serve(body("a", 1), 1), "two");
  EXPECT_EQ(serve(body("a", 2)), "two");
  EXPECT_EQ(serve(body("b", 1)), "one");
  EXPECT_EQ(arranged(body("a", 3), "sk-other").candidates.front()->name, "one");  // another account's cache
  EXPECT_EQ(pipeline->route().stats().moved[static_cast<size_t>(route::Moved::kSpilled)], 1u);
}

TEST_F(RouteStageTest, ItComesBackWhenTheProvidersTtlIsOver) {
  serve(body("a", 1), 1);
  clock.advance_ms(301'000);  // gpt-4o: 5 minutes
  EXPECT_EQ(serve(body("a", 2)), "one");
}

TEST_F(RouteStageTest, TheKeyIsTheSameWhereverItGoes) {
  const Forward first = arranged(body("a", 1));
  first.trip->began(first.candidates.at(1), 0);
  first.trip->answered(clock.unix_ms(), 0);
  const Forward second = arranged(body("a", 1));
  EXPECT_EQ(second.candidates.front()->name, "two");
  EXPECT_EQ(second.prepared->key, first.prepared->key);
  EXPECT_EQ(second.prepared->candidates.front()->name, "one");
}

TEST_F(RouteStageTest, WhatIsSpentIsAtThePricesOfWhoAnswered) {
  set_policy(route::RoutingPolicy::kOrder, 0.5);
  serve(body("a", 1));
  const double full = judged.cost_usd;
  serve(body("b", 1), 1);
  EXPECT_DOUBLE_EQ(judged.cost_usd, full / 2);
}

TEST_F(RouteStageTest, CostTakesTheCheaperOneAndStaysWhereMovingCostsMore) {
  set_policy(route::RoutingPolicy::kCost, 0.9);
  EXPECT_EQ(serve(body("a", 1)), "two");
  EXPECT_EQ(serve(body("b", 1), 1), "one");  // two refused it
  set_policy(route::RoutingPolicy::kCost, 0.9);
  EXPECT_EQ(serve(body("b", 2)), "one");
  set_policy(route::RoutingPolicy::kCost, 0.1);
  EXPECT_EQ(serve(body("b", 3)), "two");
}

TEST_F(RouteStageTest, AnUpstreamThatReadsNothingHoldsNoSession) {
  for (int i = 1; i < 30; ++i) serve(body("a", i), i == 1 ? 1 : 0, 0);
  EXPECT_EQ(serve(body("a", 30), 0, 0), "one");
}

}  // namespace
}  // namespace payonce::pipeline
