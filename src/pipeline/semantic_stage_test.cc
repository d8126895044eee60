// The semantic layer between the two halves, without a socket or a model: an embedder that counts words, and a judge
// that knows the cosine.
#include "pipeline/semantic_stage.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <variant>

#include "base/env.h"
#include "pipeline/pipeline.h"

namespace payonce::pipeline {
namespace {

constexpr int32_t kDimensions = 256;

struct WordEmbedder final : embed::Embedder {
  base::Status embed(std::string text, Done done) override {
    if (full) return base::fail(base::Code::kExhausted, "the queue is full");
    embed::Embedding out;
    out.vector.assign(kDimensions, 0);
    out.truncated = text.size() > 200;
    std::string word;
    for (const char c : text + " ") {
      if (c != ' ') {
        word += c;
      } else if (!word.empty()) {
        out.vector[std::hash<std::string>()(word) % kDimensions] += 1;
        word.clear();
      }
    }
    float square = 0;
    for (const float value : out.vector) square += value * value;
    for (float& value : out.vector) value /= std::sqrt(square);
    ++asked;
    done(std::move(out));
    return {};
  }
  int32_t dimensions() const override { return kDimensions; }
  int32_t width() const override { return kDimensions; }
  const std::string& model() const override { return name; }
  const std::string& identity() const override { return name; }
  bool full = false;
  int asked = 0;
  std::string name = "words";
};

struct CosineJudge final : semantic::PairJudge {
  struct Read final : semantic::ReadQuestion {
    size_t bytes() const override { return 0; }
  };
  semantic::ReadQuestionPtr read(std::string_view, const embed::Embedding&) const override {
    return std::make_shared<Read>();
  }
  semantic::Opinion compare(const semantic::ReadQuestion&, const semantic::ReadQuestion&, float cosine,
                            std::span<const semantic::Beside>) const override {
    return {.logit = 50 * (cosine - 0.7F), .conflict = {}};
  }
};

std::string answer_that(std::string_view says, std::string_view more = "") {
  return fmt::format(R"({{"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{}"{}}},)"
                     R"("finish_reason":"stop"}}],"usage":{{"prompt_tokens":10,"completion_tokens":5}}}})",
                     says, more);
}

struct SemanticStageTest : testing::Test {
  void SetUp() override {
    cache = std::make_unique<semantic::SemanticCache>(options, judge, clock);
    stage = std::make_unique<SemanticStage>(SemanticStage::Options{.compare = compare}, embedder, *cache, *store,
                                            clock, metrics);
    auto policy = std::make_shared<Policy>();
    auto upstream = std::make_shared<route::Upstream>();
    upstream->name = upstream->identity = "up";
    policy->generation = 1;
    policy->callers = identity::Callers({.salt = "salt", .keys = {}});
    policy->routes = route::Routes({upstream});
    policy->prices = llm::PriceTable::built_in();
    policy->semantic = true;
    pipeline = std::make_unique<Pipeline>(Pipeline::Parts{.clock = clock,
                                                          .metrics = metrics,
                                                          .store = *store,
                                                          .ledger = ledger,
                                                          .limits = limits,
                                                          .profiles = identity::Profiles::built_in().value(),
                                                          .semantic = stage.get()},
                                          policy);
  }

  using Fields = std::vector<std::pair<std::string, std::string>>;
  Decision ask(std::string_view question, const Fields& fields = {}, std::string_view before = "") {
    return search(begin(question, fields, before));
  }
  Decision begin(std::string_view question, const Fields& fields = {}, std::string_view before = "") {
    return send(fmt::format(R"({{"model":"m","messages":[{}{{"role":"user","content":"{}"}}]}})", before, question),
                fields);
  }
  Decision send(std::string_view body, const Fields& fields = {}) {
    net::RequestHead head{.method = "POST", .target = "/v1/chat/completions"};
    head.headers.add("Authorization", "Bearer sk-1");
    for (const auto& [name, value] : fields) head.headers.set(name, value);
    Pipeline::Spent spent;
    return pipeline->before({head, base::Bytes::copy(body), llm::Dialect::kOpenAiChat}, spent);
  }
  Decision search(Decision decision) {
    if (auto* search = std::get_if<Search>(&decision)) {
      std::optional<Decision> found;
      pipeline->search(*search, [&](Decision made) { found = std::move(made); });
      decision = std::move(found).value();
    }
    return decision;
  }
  void pay(const Decision& decision, std::string_view says, std::string_view more = "") {
    (void)pipeline->after(std::get<Forward>(decision),
                          {.content_type = "application/json", .body = answer_that(says, more)});
  }
  // Which layer answered, or "".
  static std::string_view layer(const Decision& decision) {
    const auto* answer = std::get_if<Answer>(&decision);
    return answer != nullptr ? answer->layer : "";
  }

  semantic::SemanticCache::Options options{.ask_again = 0, .dimensions = kDimensions};
  Compare compare = Compare::kEmbedding;
  base::FakeClock clock;
  base::Metrics metrics;
  base::PosixEnv env;
  base::WorkerPool pool{{.threads = 1}};
  std::unique_ptr<cache::ResponseStore> store = cache::ResponseStore::open({}, env, clock, pool, metrics);
  record::Ledger ledger{"", clock, metrics};
  route::Limits limits;
  WordEmbedder embedder;
  CosineJudge judge;
  std::unique_ptr<semantic::SemanticCache> cache;
  std::unique_ptr<SemanticStage> stage;
  std::unique_ptr<Pipeline> pipeline;
};

constexpr std::string_view kAsked = "what is the capital of france please";
constexpr std::string_view kAgain = "please what is the capital of france";

TEST_F(SemanticStageTest, WhatWasStoredDuringTheSearchIsAnExactHit) {
  const Decision first = ask(kAsked);
  Decision second = begin(kAsked);
  pay(first, "", R"(,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}])");
  EXPECT_EQ(layer(search(std::move(second))), "exact");
  EXPECT_EQ(pipeline->exact().stats().hits, 1u);
  EXPECT_EQ(pipeline->exact().stats().misses, 1u);
  EXPECT_EQ(stage->stats().empty, 2u) << "it had nothing to give to either";
}

TEST_F(SemanticStageTest, OtherWordsGetTheSameAnswerAndEqualOnesTheExactLayers) {
  pay(ask(kAsked), "Paris");
  const Decision again = ask(kAgain);
  ASSERT_EQ(layer(again), "semantic");
  const Answer& answer = std::get<Answer>(again);
  EXPECT_EQ(answer.body.view(), answer_that("Paris"));
  EXPECT_NEAR(answer.similarity, 1, 0.01);
  EXPECT_FALSE(answer.hit_id.empty());
  EXPECT_EQ(answer.ask_again, nullptr);
  EXPECT_EQ(layer(ask(kAsked)), "exact");
  EXPECT_EQ(stage->stats().hits, 1U);
  EXPECT_EQ(stage->stats().saved_input_tokens, 10U);
  EXPECT_EQ(pipeline->exact().stats().hits, 1U);
}

TEST_F(SemanticStageTest, NothingCrossesAScopeAVersionOrAContext) {
  pay(ask(kAsked), "Paris");
  EXPECT_EQ(layer(ask(kAgain, {{"Authorization", "Bearer sk-2"}})), "");
  EXPECT_EQ(layer(ask(kAgain, {{"X-Payonce-Scope", "user:1"}})), "");
  EXPECT_EQ(layer(ask(kAgain, {{"X-Payonce-Version", "kb=2"}})), "");
  EXPECT_EQ(layer(ask(kAgain, {}, R"({"role":"system","content":"Lie."},)")), "");
  EXPECT_EQ(layer(ask(kAgain, {}, R"({"role":"user","content":"a"},{"role":"assistant","content":"b"},)")), "");
  EXPECT_EQ(
      layer(search(send(fmt::format(R"({{"model":"n","messages":[{{"role":"user","content":"{}"}}]}})", kAgain)))),
      "");
  EXPECT_EQ(layer(ask(kAgain)), "semantic");
}

TEST_F(SemanticStageTest, CallersDirectivesHold) {
  pay(ask(kAsked), "Paris");
  EXPECT_EQ(layer(ask(kAgain, {{"X-Payonce-Layers", "exact"}})), "");
  EXPECT_EQ(layer(ask(kAsked, {{"X-Payonce-Layers", "semantic"}})), "semantic");  // its own wording, by meaning
  EXPECT_EQ(layer(ask(kAgain, {{"X-Payonce-Layers", "none"}})), "");
  EXPECT_EQ(layer(ask(kAgain, {{"Cache-Control", "no-cache"}})), "");
  clock.advance_ms(10'000);
  EXPECT_EQ(layer(ask(kAgain, {{"Cache-Control", "max-age=5"}})), "");
  EXPECT_EQ(layer(ask(kAgain, {{"Cache-Control", "max-age=15"}})), "semantic");
  EXPECT_EQ(layer(ask(kAgain, {{"Cache-Control", "only-if-cached"}})), "semantic");
  EXPECT_EQ(std::get<Refusal>(ask("something else", {{"Cache-Control", "only-if-cached"}})).status, 504);
  pay(ask("who wrote hamlet then", {{"Cache-Control", "no-store"}}), "Shakespeare");
  EXPECT_EQ(layer(ask("then who wrote hamlet")), "");
}

TEST_F(SemanticStageTest, AFaultIsAMissWithAReason) {
  pay(ask(kAsked), "Paris");
  embedder.full = true;
  const Decision missed = ask(kAgain);
  EXPECT_EQ(std::get<Forward>(missed).detail, "semantic-fault");
  EXPECT_EQ(std::get<Forward>(missed).why, Forwarded::kMiss);
  EXPECT_TRUE(std::get<Forward>(missed).store);
  pay(missed, "Paris");  // nothing to learn from, nothing breaks
  embedder.full = false;
  EXPECT_EQ(stage->stats().fault, 1U);
  EXPECT_EQ(stage->stats().empty, 1U);  // the first question alone
  EXPECT_EQ(cache->stats().tally.questions, 1U);
  const std::string longer(300, 'x');
  const Decision too_long = ask(longer);
  EXPECT_EQ(std::get<Forward>(too_long).detail, "semantic-too-long");
  pay(too_long, "x");
  EXPECT_EQ(layer(ask(longer)), "exact");
  EXPECT_EQ(layer(ask(longer + " ")), "");
}

TEST_F(SemanticStageTest, AnAnswerThatIsGoneIsForgotten) {
  pay(ask(kAsked), "Paris");
  EXPECT_EQ(store->purge({}), 1U);
  EXPECT_EQ(layer(ask(kAgain)), "");
  EXPECT_EQ(stage->stats().gone, 1U);
  EXPECT_EQ(cache->stats().entries, 0U);
  pay(ask(kAsked), "Paris");
  (void)store->purge({});
  pipeline->forget_what_is_gone();
  EXPECT_EQ(cache->stats().entries, 0U);
}

TEST_F(SemanticStageTest, AnAnswerThatCallsToolsIsForTheOneWhoAsked) {
  pay(ask(kAsked), "", R"(,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{}"}}])");
  EXPECT_EQ(layer(ask(kAgain)), "");
  EXPECT_EQ(layer(ask(kAsked)), "exact");
}

TEST_F(SemanticStageTest, FeedbackDemotesAtOnce) {
  pay(ask(kAsked), "Paris");
  const Decision again = ask(kAgain);
  const Answer& answer = std::get<Answer>(again);
  EXPECT_FALSE(stage->feedback_wrong(answer.hit_id, "someone-else"));
  EXPECT_TRUE(stage->feedback_wrong(answer.hit_id, answer.prepared->scope));
  EXPECT_EQ(layer(ask(kAgain)), "");
  EXPECT_EQ(layer(ask(kAsked)), "exact");
  EXPECT_EQ(stage->stats().wrong_by_feedback, 1U);
}

struct AskingAgain : SemanticStageTest {
  void SetUp() override {
    options.ask_again = 1;
    SemanticStageTest::SetUp();
  }
};

TEST_F(AskingAgain, LabelsWhatWasServed) {
  pay(ask(kAsked), "Paris");
  const Decision again = ask(kAgain);
  ASSERT_EQ(layer(again), "semantic");
  const auto& forward = std::get<Answer>(again).ask_again;
  ASSERT_NE(forward, nullptr);
  EXPECT_FALSE(forward->collapse);
  pay(*forward, "It is Lyon");
  EXPECT_EQ(cache->stats().tally.asked_again, 1U);
  EXPECT_EQ(cache->stats().tally.asked_again_wrong, 1U);
  EXPECT_EQ(layer(ask(kAgain)), "exact");  // with the answer of its own
}

struct Comparing : SemanticStageTest, testing::WithParamInterface<Compare> {
  void SetUp() override {
    compare = GetParam();
    options.policy = semantic::Policy::kThreshold;
    options.threshold = 2;  // every question is asked, and each answer compared
    SemanticStageTest::SetUp();
  }
  double equal() { return metrics.counter("payonce_semantic_labels_total", {{"equal", "yes"}}).value(); }
};
INSTANTIATE_TEST_SUITE_P(Ways, Comparing, testing::Values(Compare::kExact, Compare::kNormalised, Compare::kEmbedding),
                         [](const auto& test) {
                           return test.param == Compare::kExact        ? "exact"
                                  : test.param == Compare::kNormalised ? "normalised"
                                                                       : "embedding";
                         });

TEST_P(Comparing, TellsEqualAnswersFromOthers) {
  const auto label = [&](std::string_view first, std::string_view second) {
    const double before = equal();
    static int round = 0;
    pay(ask(fmt::format("{} {}", kAsked, round)), first);
    pay(ask(fmt::format("{} {}", round, kAsked)), second);
    ++round;
    (void)cache->forget_if([](std::string_view) { return true; });
    return equal() - before == 1;
  };
  EXPECT_TRUE(label("Paris", "Paris"));
  EXPECT_EQ(label("Paris.", "paris"), GetParam() != Compare::kExact);
  EXPECT_FALSE(label("Paris", "Lyon"));
  EXPECT_FALSE(label("cluster 17", "cluster 71"));
  const std::string_view one = "the capital of France is the city of Paris on the river Seine";
  const std::string_view other = "on the river Seine is the city of Paris the capital of France";
  EXPECT_EQ(label(one, other), GetParam() == Compare::kEmbedding);
  EXPECT_FALSE(label("It has 3 of the nine great bridges over the wide river",
                     "It has 4 of the nine great bridges over the wide river"));
}

TEST(BreakEven, StopsWaitingWhereItDoesNotPayAndGoesOnMeasuring) {
  BreakEven guard({.trial = 100, .sample = 0.1, .call_us = 20'000, .memory = 200});
  const auto run = [&](int hits_in_100, int64_t upstream_us, int requests) {
    int waited = 0;
    for (int i = 0; i < requests; ++i) {
      guard.called("m", upstream_us);
      waited += guard.should_wait("m");
      guard.looked("m", i % 100 < hits_in_100, 3000);
    }
    return waited;
  };
  EXPECT_EQ(run(20, 500'000, 1000), 1000);
  EXPECT_FALSE(guard.sampling());
  EXPECT_LT(run(0, 500'000, 3000), 2500);
  EXPECT_TRUE(guard.sampling());
  EXPECT_TRUE(guard.should_wait("another route"));
  EXPECT_GT(run(20, 1'000, 3000), 2000);  // a quick upstream: a call has a price all the same
  EXPECT_FALSE(guard.sampling());
}

}  // namespace
}  // namespace payonce::pipeline
