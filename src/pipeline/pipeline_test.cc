// The two halves without a socket: what the gateway would do is written out in ask() and pay().
#include "pipeline/pipeline.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <variant>
#include <vector>

#include "base/env.h"

namespace payonce::pipeline {
namespace {

constexpr std::string_view kBody = R"({"model":"gpt-4o","messages":[{"role":"user","content":"hi"}]})";
constexpr std::string_view kAnswer =
    R"({"model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"yes"},"finish_reason":"stop"}],)"
    R"("usage":{"prompt_tokens":1000000,"completion_tokens":0}})";

struct Fixture : testing::Test {
  Fixture() { set_policy({}); }

  void set_policy(Policy policy, std::vector<identity::VirtualKey> keys = {}) {
    auto upstream = std::make_shared<route::Upstream>();
    upstream->name = upstream->identity = "up";
    policy.generation = ++generation;
    policy.callers = identity::Callers({.salt = "salt", .keys = std::move(keys)});
    policy.routes = route::Routes({upstream});
    policy.prices = llm::PriceTable::built_in();
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

  Decision ask(std::string_view body = kBody,
               std::initializer_list<std::pair<std::string_view, std::string_view>> fields = {},
               llm::Dialect dialect = llm::Dialect::kOpenAiChat, std::string target = "/v1/chat/completions") {
    net::RequestHead head{.method = "POST", .target = std::move(target)};
    head.headers.add("Authorization", "Bearer sk-1");
    for (const auto& [name, value] : fields) head.headers.set(name, value);
    Pipeline::Spent spent;
    return pipeline->before({head, base::Bytes::copy(body), dialect}, spent);
  }
  Judged pay(const Decision& decision, std::string_view answer = kAnswer) {
    return pipeline->after(std::get<Forward>(decision),
                           {.content_type = "application/json", .body = std::string(answer)});
  }
  static bool hits(const Decision& decision) { return std::holds_alternative<Answer>(decision); }
  static Forwarded why(const Decision& decision) { return std::get<Forward>(decision).why; }

  base::FakeClock clock;
  base::Metrics metrics;
  base::PosixEnv env;
  base::WorkerPool pool{{.threads = 1}};
  std::unique_ptr<cache::ResponseStore> store = cache::ResponseStore::open({}, env, clock, pool, metrics);
  record::Ledger ledger{"", clock, metrics};
  route::Limits limits;
  std::unique_ptr<Pipeline> pipeline;
  uint64_t generation = 0;
};
using PipelineTest = Fixture;

TEST_F(PipelineTest, TheSecondAskingIsAnsweredFromTheStoreAndCounted) {
  const Decision first = ask();
  EXPECT_EQ(why(first), Forwarded::kMiss);
  EXPECT_TRUE(pay(first).store);
  const Decision second = ask();
  ASSERT_TRUE(hits(second));
  EXPECT_EQ(std::get<Answer>(second).body.view(), kAnswer);
  EXPECT_EQ(pipeline->exact().stats().hits, 1u);
  EXPECT_DOUBLE_EQ(pipeline->exact().stats().saved_usd, 2.5);
  EXPECT_EQ(ledger.rows(1).size(), 2u);  // bought once, saved once
}

TEST_F(PipelineTest, ARecordedDocumentServesAStreamingCaller) {
  (void)pay(ask());
  const Decision streamed = ask(R"({"stream":true,"messages":[{"content":"hi","role":"user"}],"model":"gpt-4o"})");
  ASSERT_TRUE(hits(streamed));
  EXPECT_TRUE(std::get<Answer>(streamed).content_type.starts_with("text/event-stream"));
  EXPECT_NE(std::get<Answer>(streamed).body.view().find("data: [DONE]"), std::string_view::npos);
}

TEST_F(PipelineTest, AnotherCredentialOrVersionMisses) {
  (void)pay(ask());
  EXPECT_FALSE(hits(ask(kBody, {{"Authorization", "Bearer sk-2"}})));
  EXPECT_FALSE(hits(ask(kBody, {{"X-Payonce-Version", "tools=v2"}})));
  EXPECT_FALSE(hits(ask(kBody, {{"X-Payonce-Scope", "user:1"}})));
  EXPECT_TRUE(hits(ask(kBody, {{"X-Request-Id", "other"}})));
}

TEST_F(PipelineTest, WhatIsKnownOfASenderEndsWithItsPolicy) {
  constexpr std::string_view kOther = R"({"model":"gpt-4o","messages":[{"role":"user","content":"and now?"}]})";
  (void)pay(ask());
  set_policy({}, {{.name = "ann", .digest = base::sha256("sk-2"), .scopes = {}}});
  ASSERT_TRUE(std::holds_alternative<Refusal>(ask(kOther)));
  EXPECT_EQ(std::get<Refusal>(ask(kOther)).reason, "auth");
  EXPECT_EQ(std::get<Forward>(ask(kOther, {{"Authorization", "Bearer sk-2"}})).prepared->caller, "ann");
  set_policy({}, {{.name = "ben", .digest = base::sha256("sk-2"), .scopes = {}}});
  EXPECT_EQ(std::get<Forward>(ask(kBody, {{"Authorization", "Bearer sk-2"}})).prepared->caller, "ben");
}

TEST_F(PipelineTest, GeminisModelAndKeyAreOutsideTheBody) {
  constexpr std::string_view kContents = R"({"contents":[{"role":"user","parts":[{"text":"hi"}]}]})";
  constexpr std::string_view kGiven =
      R"({"candidates":[{"content":{"parts":[{"text":"yes"}]},"finishReason":"STOP"}],)"
      R"("usageMetadata":{"promptTokenCount":1000000,"candidatesTokenCount":0}})";
  const auto asking = [&](std::string_view key, std::string_view model) {
    return ask(kContents, {{"x-goog-api-key", key}}, llm::Dialect::kGemini,
               fmt::format("/v1beta/models/{}:generateContent", model));
  };
  EXPECT_TRUE(pay(asking("k1", "gemini-2.5-pro"), kGiven).store);
  const Decision again = asking("k1", "gemini-2.5-pro");
  ASSERT_TRUE(hits(again));
  EXPECT_EQ(std::get<Answer>(again).body.view(), kGiven);
  EXPECT_GT(pipeline->exact().stats().saved_usd, 1.0);
  EXPECT_FALSE(hits(asking("k2", "gemini-2.5-pro")));
  EXPECT_FALSE(hits(asking("k1", "gemini-2.5-flash")));
}

TEST_F(PipelineTest, WhatIsNotCompleteIsNotStored) {
  EXPECT_FALSE(pay(ask(), R"({"error":{"message":"x"}})").store);
  EXPECT_FALSE(pay(ask(), kAnswer.substr(0, 40)).store);
  EXPECT_FALSE(hits(ask()));
}

TEST_F(PipelineTest, CacheControlIsHonoured) {
  (void)pay(ask());
  EXPECT_EQ(why(ask(kBody, {{"Cache-Control", "no-cache"}})), Forwarded::kRequest);
  clock.advance_ms(10'000);
  EXPECT_EQ(why(ask(kBody, {{"Cache-Control", "max-age=9"}})), Forwarded::kStale);
  EXPECT_TRUE(hits(ask(kBody, {{"Cache-Control", "max-age=11"}})));
  EXPECT_EQ(std::get<Refusal>(ask(R"({"model":"x"})", {{"Cache-Control", "only-if-cached"}})).status, 504);
  EXPECT_TRUE(hits(ask(kBody, {{"Cache-Control", "only-if-cached"}})));
  const Decision unstored = ask(R"({"model":"y"})", {{"Cache-Control", "no-store"}});
  EXPECT_FALSE(pay(unstored).store);
}

TEST_F(PipelineTest, AnEntryExpiresWhenItsTtlIsOver) {
  (void)pay(ask(kBody, {{"X-Payonce-TTL", "60"}}));
  clock.advance_ms(59'000);
  EXPECT_TRUE(hits(ask()));
  clock.advance_ms(1'000);
  EXPECT_EQ(why(ask()), Forwarded::kMiss);
  EXPECT_EQ(pipeline->exact().stats().expired, 1u);
}

TEST_F(PipelineTest, LayersAndPolicyCanSwitchItOff) {
  (void)pay(ask());
  EXPECT_EQ(why(ask(kBody, {{"X-Payonce-Layers", "prefix"}})), Forwarded::kBypass);
  set_policy({.cache_sampled = false});
  EXPECT_EQ(why(ask()), Forwarded::kBypass);  // no temperature: sampled
  EXPECT_EQ(why(ask(R"({"model":"m","temperature":0})")), Forwarded::kMiss);
  set_policy({.exact = false});
  EXPECT_EQ(why(ask()), Forwarded::kBypass);
}

TEST_F(PipelineTest, BadInputIsRefusedBeforeAnyUpstream) {
  for (const char* bad : {"", "{", "[]", "\"x\"", "{\"a\":\"\xff\"}"})
    EXPECT_EQ(std::get<Refusal>(ask(bad)).status, 400) << bad;
  EXPECT_EQ(std::get<Refusal>(ask(kBody, {{"X-Payonce-TTL", "soon"}})).status, 400);
  EXPECT_EQ(std::get<Refusal>(ask(kBody, {{"X-Payonce-Scope", "bob"}})).status, 400);
  EXPECT_EQ(std::get<Refusal>(ask(kBody, {{"X-Payonce-Version", "v3"}})).status, 400);
}

TEST_F(PipelineTest, AnEncodedBodyAndAnUnknownEndpointPassThrough) {
  EXPECT_EQ(std::get<Forward>(ask("\x1f\x8b", {{"Content-Encoding", "gzip"}})).prepared, nullptr);
  EXPECT_EQ(std::get<Forward>(ask("x", {}, llm::Dialect::kOther)).prepared, nullptr);
}

TEST_F(PipelineTest, LimitsHoldForWhatGoesUpstreamAndNotForHits) {
  set_policy({.limit = {.requests_per_minute = 1}});
  (void)pay(ask());
  EXPECT_TRUE(hits(ask()));
  EXPECT_TRUE(hits(ask()));
  const Decision over = ask(R"({"model":"other"})");
  EXPECT_EQ(std::get<Refusal>(over).status, 429);
  EXPECT_GT(std::get<Refusal>(over).retry_after_s, 0);
}

TEST_F(PipelineTest, ABudgetEndsBuyingForTheDay) {
  set_policy({.limit = {.budget_usd_per_day = 2}});
  (void)pay(ask());  // 2.50
  EXPECT_EQ(std::get<Refusal>(ask(R"({"model":"other"})")).reason, "budget");
  EXPECT_TRUE(hits(ask()));
}

TEST_F(PipelineTest, WhatGoesForwardCarriesItsNarrowedScopeAlsoWhenItPassesThrough) {
  const auto scope = [](const Decision& decision) { return std::get<Forward>(decision).scope; };
  const std::string own = scope(ask());
  const std::string narrowed = scope(ask(kBody, {{"X-Payonce-Scope", "user:1"}}));
  EXPECT_FALSE(own.empty());
  EXPECT_NE(own, narrowed);
  EXPECT_EQ(scope(ask(kBody, {}, llm::Dialect::kOther)), own);
  EXPECT_EQ(scope(ask(kBody, {{"X-Payonce-Scope", "user:1"}}, llm::Dialect::kOther)), narrowed);
}

TEST_F(PipelineTest, ExplanationsKeepBodiesWithinTheirBoundAndNoneOfThePlans) {
  Explanations explanations(clock, 1000);
  const Decision asked = ask();
  const auto& forward = std::get<Forward>(asked);
  std::vector<std::weak_ptr<const std::string>> bodies;
  const auto made = [&] {
    const auto owner = std::make_shared<const std::string>(400, 'b');
    bodies.emplace_back(owner);
    return base::Bytes(owner, *owner);
  };
  std::vector<uint64_t> ids;
  for (int i = 0; i < 5; ++i) {
    ids.push_back(explanations.next_id());
    explanations.forwarded(ids.back(), forward, made(), false);
    const auto plan = std::make_shared<prefix::Plan>();
    plan->body = made();
    plan->tokens = 7;
    explanations.settled(ids.back(), plan, {});
  }
  for (const uint64_t id : ids) {
    const auto found = explanations.find(id);
    ASSERT_TRUE(found && found->prefix);
    EXPECT_TRUE(found->prefix->body.has_value());
    EXPECT_EQ(found->prefix->tokens, 7u);
  }
  EXPECT_EQ(std::count_if(bodies.begin(), bodies.end(), [](const auto& body) { return !body.expired(); }), 2);
}

TEST_F(PipelineTest, AnExplanationRepeatsWhatTheProviderSaysOfItsMiss) {
  Decision asked = ask();
  auto& forward = std::get<Forward>(asked);
  forward.id = pipeline->explanations().next_id();
  pipeline->explanations().forwarded(forward.id, forward, base::Bytes::copy(kBody), false);
  std::string answer(kAnswer);
  answer.insert(1, R"("prompt_cache_diagnostics":{"type":"cache_miss","reason":"tools_changed"},)");
  (void)pay(asked, answer);
  EXPECT_EQ(pipeline->explanations().find(forward.id)->provider_says, "tools_changed");
}

}  // namespace
}  // namespace payonce::pipeline
