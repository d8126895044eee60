#include "retrieval/retrieval_stage.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <cmath>

namespace payonce::retrieval {
namespace {

// Texts are "topic wording": one topic is one direction. The judge is sure of one topic, and knows "!" as a conflict.
class TopicEmbedder final : public embed::Embedder {
 public:
  base::Status embed(std::string text, Done done) override {
    if (full) return base::fail(base::Code::kExhausted, "full");
    embed::Embedding out;
    const float angle = static_cast<float>(text.front() - 'a');
    out.vector = {std::cos(angle), std::sin(angle)};
    done(std::move(out));
    return {};
  }
  int32_t dimensions() const override { return 2; }
  int32_t width() const override { return 2; }
  const std::string& model() const override { return name_; }
  const std::string& identity() const override { return name_; }
  bool full = false;

 private:
  std::string name_ = "topics";
};

struct TopicJudge final : semantic::PairJudge {
  struct Read final : semantic::ReadQuestion {
    explicit Read(std::string_view t) : text(t) {}
    size_t bytes() const override { return 100; }
    std::string text;
  };
  semantic::ReadQuestionPtr read(std::string_view text, const embed::Embedding&) const override {
    return std::make_shared<Read>(text);
  }
  semantic::Opinion compare(const semantic::ReadQuestion& cached, const semantic::ReadQuestion& asked, float cosine,
                            std::span<const semantic::Beside>) const override {
    const auto &a = static_cast<const Read&>(cached).text, &b = static_cast<const Read&>(asked).text;
    return {.logit = cosine > 0.99F ? 5.0F : -5.0F, .conflict = a.back() != b.back() ? "mark" : ""};
  }
};

struct Call {
  std::string scope = "s", versions = "kb=1", target = "/collections/c/points/query", fields, text;
  std::string query = "[1,0]", limit = "2", more;
  bool paraphrase = true;
};

struct World {
  base::FakeClock clock;
  base::Metrics metrics;
  TopicEmbedder embedder;
  TopicJudge judge;
  StoreRules rules{.name = "q", .kind = StoreKind::kQdrant, .one_epoch = false, .settle_ms = 1000, .ttl_s = 600};
  RetrievalStage::Options options;
  std::unique_ptr<RetrievalStage> made;

  RetrievalStage& stage() {
    if (!made) made = std::make_unique<RetrievalStage>(options, &embedder, &judge, clock, metrics);
    return *made;
  }
  AskedPtr start(const Call& call) {
    const std::string body = fmt::format(R"({{"query":{},"limit":{}{}}})", call.query, call.limit, call.more);
    return stage().start(rules,
                         {.scope = call.scope,
                          .versions = call.versions,
                          .method = "POST",
                          .target = call.target,
                          .fields = call.fields,
                          .text = call.text,
                          .paraphrase = call.paraphrase},
                         classify(rules, {.method = "POST", .target = call.target, .body = body}));
  }
  Outcome look(const AskedPtr& asked) {
    Outcome out;
    stage().look_up(asked, [&](Outcome outcome) { out = std::move(outcome); });
    return out;
  }
  // Asks; on a miss the store answers `list`.
  Outcome ask(const Call& call, const std::string& list = R"({"result":{"points":[]},"status":"ok"})") {
    const AskedPtr asked = start(call);
    Outcome out = look(asked);
    if (out.rule == Rule::kNone) stage().settle(asked, list, "application/json");
    return out;
  }
};

TEST(Retrieval, AnEqualQueryGetsTheListByteForByte) {
  World world;
  const std::string list = R"({"result":{"points":[]},"status":"ok","time":0.5})";
  EXPECT_EQ(world.ask({}, list).missed, "cold");
  world.clock.advance_ms(2000);
  const Outcome hit = world.ask({.query = "[1.0, 0e0]"});
  EXPECT_EQ(hit.rule, Rule::kEqual);
  EXPECT_EQ(hit.body.view(), list);
  EXPECT_EQ(hit.age_s, 2);
  EXPECT_EQ(hit.ttl_s, 598);
  world.clock.advance_ms(600'000);
  EXPECT_EQ(world.ask({}).missed, "expired");
}

TEST(Retrieval, WhateverShapesTheListKeepsGroupsApart) {
  for (const Call& other :
       {Call{.scope = "t"}, Call{.versions = "kb=2"}, Call{.target = "/collections/d/points/query"},
        Call{.target = "/collections/c/points/query?consistency=all"}, Call{.fields = "x-tenant:1:b\n"},
        Call{.limit = "3"}, Call{.more = R"(,"filter":{"must":[]})"}, Call{.query = "[1,0.001]"}}) {
    World world;
    world.ask({});
    EXPECT_EQ(world.ask(other).rule, Rule::kNone);
    EXPECT_EQ(world.ask({}).rule, Rule::kEqual);
  }
}

TEST(Retrieval, AVerifiedParaphraseGetsTheListAConflictDoesNot) {
  World world;
  world.ask({.text = "a one."});
  EXPECT_EQ(world.ask({.text = "a two.", .query = "[1,0.1]"}).rule, Rule::kParaphrase);
  EXPECT_EQ(world.ask({.text = "a two!", .query = "[1,0.2]"}).rule, Rule::kNone);
  EXPECT_EQ(world.ask({.text = "b one.", .query = "[1,0.3]"}).rule, Rule::kNone);
  EXPECT_EQ(world.ask({.text = "a six.", .query = "[0,1]"}).rule, Rule::kNone);  // the vectors do not agree
  EXPECT_EQ(world.ask({.text = "a two.", .query = "[1,0.4]", .paraphrase = false}).rule, Rule::kNone);
  EXPECT_EQ(world.ask({.scope = "t", .text = "a two."}).rule, Rule::kNone);
}

TEST(Retrieval, AFullEmbedderIsAMissAndCounted) {
  World world;
  world.ask({.text = "a one."});
  world.embedder.full = true;
  EXPECT_EQ(world.ask({.text = "a two.", .query = "[1,0.1]"}).rule, Rule::kNone);
  EXPECT_EQ(world.ask({.text = "a two.", .query = "[1,0.1]"}).rule, Rule::kEqual);  // kept all the same
  EXPECT_EQ(world.stage().stats().faults, 1U);
}

TEST(Retrieval, AWriteMakesTheListsBeforeItVoidAndThoseReadBesideIt) {
  using Write = RetrievalStage::Write;
  World world;
  world.ask({});
  world.stage().written(world.rules, "c", Write::kSent);
  const AskedPtr beside = world.start({});
  EXPECT_EQ(world.look(beside).missed, "epoch");
  world.stage().written(world.rules, "c", Write::kApplied);
  world.stage().settle(beside, R"({"result":[]})", "application/json");
  EXPECT_EQ(world.ask({}).rule, Rule::kNone);  // what was read beside the write is not given
  EXPECT_EQ(world.ask({}).rule, Rule::kEqual);
}

TEST(Retrieval, NothingIsKeptWhileAWriteMayStillBeApplied) {
  using Write = RetrievalStage::Write;
  World world;
  world.stage().written(world.rules, "c", Write::kSent);
  world.stage().written(world.rules, "c", Write::kAnswered);
  world.ask({});
  EXPECT_EQ(world.ask({}).rule, Rule::kNone);
  world.clock.advance_ms(1000);
  world.ask({});
  EXPECT_EQ(world.ask({}).rule, Rule::kEqual);
  world.stage().written(world.rules, "", Write::kSent);  // of no collection: of all
  EXPECT_EQ(world.ask({}).rule, Rule::kNone);
}

TEST(Retrieval, AWriteToAnotherCollectionCountsOnlyWithOneEpochForTheStore) {
  World world;
  world.ask({});
  world.stage().forget(world.rules, "d");
  EXPECT_EQ(world.ask({}).rule, Rule::kEqual);
  World safe;
  safe.rules.one_epoch = true;
  safe.ask({});
  safe.stage().forget(safe.rules, "d");
  EXPECT_EQ(safe.ask({}).rule, Rule::kNone);
}

TEST(Retrieval, AListThatReportsAnErrorIsNotKept) {
  World world;
  world.ask({}, R"({"error":"busy"})");
  EXPECT_EQ(world.ask({}).rule, Rule::kNone);
}

// Documents on a circle, a degree apart; a list holds the nearest of a query, with vectors.
std::string circle_list(double degrees, int count) {
  std::string points;
  for (int i = 0; i < count; ++i) {
    const double at = std::round(degrees) + (i % 2 == 0 ? i / 2 : -(i + 1) / 2);
    const double angle = at * 0.0174532925, apart = (at - degrees) * 0.0174532925;
    points += fmt::format(R"({}{{"id":{},"score":{:.6f},"vector":[{:.6f},{:.6f}]}})", i == 0 ? "" : ",",
                          static_cast<int>(at), std::cos(apart), std::cos(angle), std::sin(angle));
  }
  return R"({"result":{"points":[)" + points + R"(]},"status":"ok"})";
}
Call circle(double degrees, int limit) {
  return {.query = fmt::format("[{:.6f},{:.6f}]", std::cos(degrees * 0.0174532925), std::sin(degrees * 0.0174532925)),
          .limit = std::to_string(limit),
          .more = R"(,"with_vector":true)"};
}

TEST(Retrieval, SeedsOnlyOnceTheMeasuredRecallIsGoodEnough) {
  World world;
  world.options.seed = true;
  world.options.shadow = 0;
  int first_seeded = -1;
  for (int i = 0; i < 400 && first_seeded < 0; ++i) {
    const double degrees = 45 + 0.001 * i;  // all between the same documents: their lists are one set
    if (world.ask(circle(degrees, 6), circle_list(degrees, 6)).rule == Rule::kSeeded) first_seeded = i;
  }
  EXPECT_GE(first_seeded, 173);  // recall_meter.h: no fewer can show 0.95
  EXPECT_GT(world.stage().stats().recall.low, 0.95);
  EXPECT_EQ(world.stage().stats().seeded, 1U);
}

TEST(Retrieval, PoorRecallNeverSeeds) {
  World world;
  world.options.seed = true;
  world.options.shadow = 0;
  for (int i = 0; i < 400; ++i) {
    const double degrees = 3.0 * i;  // each list is half new
    EXPECT_NE(world.ask(circle(degrees, 6), circle_list(degrees, 6)).rule, Rule::kSeeded);
  }
  const auto recall = world.stage().stats().recall;
  EXPECT_GT(recall.searches, 100U);
  EXPECT_LT(recall.low, 0.9);
}

TEST(Retrieval, NeverSeedsUnlessAsked) {
  World world;
  for (int i = 0; i < 300; ++i) world.ask(circle(45 + 0.001 * i, 6), circle_list(45 + 0.001 * i, 6));
  EXPECT_EQ(world.stage().stats().seeded, 0U);
  EXPECT_EQ(world.stage().stats().recall.searches, 0U);
}

// Whatever is asked in whatever order, a list answers only a call of its own scope, versions, collection, limit and
// epoch: the list itself says which.
RC_GTEST_PROP(Retrieval, GroupsAndEpochsNeverMeet, (std::vector<std::tuple<uint8_t, uint8_t, uint8_t>> steps)) {
  using Write = RetrievalStage::Write;
  World world;
  std::map<std::string, int> epochs;
  for (const auto& [what, which, how] : steps) {
    const std::string collection = which & 1 ? "c" : "d";
    if (how % 5 == 0) {
      world.stage().written(world.rules, collection, Write::kSent);
      world.stage().written(world.rules, collection, Write::kApplied);
      ++epochs[collection];
      continue;
    }
    const Call call{.scope = which & 2 ? "s" : "t",
                    .versions = which & 4 ? "kb=1" : "kb=2",
                    .target = "/collections/" + collection + "/points/query",
                    .text = std::string(1, static_cast<char>('a' + what % 3)) + " text.",
                    .query = fmt::format("[1,{}]", 0.01 * (what % 4)),
                    .limit = which & 8 ? "2" : "3"};
    const std::string mark =
        fmt::format(R"({{"scope":"{}","versions":"{}","collection":"{}","limit":{},"epoch":{}}})", call.scope,
                    call.versions, collection, call.limit, epochs[collection]);
    const Outcome got = world.ask(call, mark);
    if (got.rule != Rule::kNone) RC_ASSERT(got.body.view() == mark);
  }
}

}  // namespace
}  // namespace payonce::retrieval
