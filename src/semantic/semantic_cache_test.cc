#include "semantic/semantic_cache.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <random>

namespace payonce::semantic {
namespace {

// Questions are numbers "topic/wording": topics are directions, wordings small turns of them. The judge knows the
// cosine alone, but for topics that it is told to keep apart.
struct NumberJudge final : PairJudge {
  struct Read final : ReadQuestion {
    explicit Read(std::string_view t) : text(t) {}
    size_t bytes() const override { return 100; }
    std::string text;
  };
  ReadQuestionPtr read(std::string_view text, const embed::Embedding&) const override {
    return std::make_shared<Read>(text);
  }
  Opinion compare(const ReadQuestion& cached, const ReadQuestion& asked, float cosine,
                  std::span<const Beside>) const override {
    const auto &a = static_cast<const Read&>(cached).text, &b = static_cast<const Read&>(asked).text;
    return {.logit = 40 * (cosine - 0.85F), .conflict = (a.back() == '!') != (b.back() == '!') ? "mark" : ""};
  }
};

constexpr int32_t kDimensions = 64;

embed::Embedding embedding_of(int topic, int wording) {
  embed::Embedding out;
  std::mt19937 topics(static_cast<uint32_t>(topic)), turns(static_cast<uint32_t>(wording + 1000 * topic));
  std::normal_distribution<float> normal;
  float square = 0;
  for (int d = 0; d < kDimensions; ++d) {
    const float value = normal(topics) + 0.2F * normal(turns);
    out.vector.push_back(value);
    square += value * value;
  }
  for (float& value : out.vector) value /= std::sqrt(square);
  return out;
}

struct SemanticCacheTest : testing::Test {
  SemanticCache& cache() {
    if (!made) made = std::make_unique<SemanticCache>(options, judge, clock);
    return *made;
  }
  Lookup lookup_of(int topic, int wording, const std::string& group = "g", const std::string& scope = "s",
                   const std::string& mark = "") {
    Lookup out;
    out.group = group, out.scope = scope;
    out.question = std::to_string(topic) + "/" + std::to_string(wording) + mark;
    out.embedding = embedding_of(topic, wording);
    return out;
  }
  void settle(const Lookup& lookup, uint64_t says, bool served = false, bool insert = true) {
    const std::string key = lookup.group + lookup.question;
    if (insert)
      cache().insert(lookup, {.key = key, .digest = {says, says}, .expires_ms = clock.unix_ms() + 1'000'000});
    if (!lookup.candidates.empty())
      cache().label(lookup, key, lookup.candidates.front().answer == base::Hash128{says, says}, served);
  }
  // As the pipeline does it: looks up, serves or asks; what the topic answers is its number.
  Outcome ask(int topic, int wording, const std::string& group = "g", const std::string& scope = "s") {
    Lookup lookup = lookup_of(topic, wording, group, scope);
    cache().look_up(lookup);
    const bool serve = lookup.outcome == Outcome::kServe;
    (void)cache().decided(lookup, serve);
    if (serve) wrong += lookup.candidates.front().answer.low != static_cast<uint64_t>(topic);
    if (!serve || lookup.ask_again) settle(lookup, static_cast<uint64_t>(topic), serve);
    return lookup.outcome;
  }

  NumberJudge judge;
  base::FakeClock clock;
  SemanticCache::Options options{.ask_again = 0, .dimensions = kDimensions};
  std::unique_ptr<SemanticCache> made;
  int wrong = 0;
};

TEST_F(SemanticCacheTest, AnotherWordingIsServedAndTheVeryNextOne) {
  EXPECT_EQ(ask(1, 0), Outcome::kEmpty);
  EXPECT_EQ(ask(1, 1), Outcome::kServe);
  EXPECT_EQ(ask(2, 0), Outcome::kFar);
  EXPECT_EQ(ask(2, 5), Outcome::kServe);
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(cache().stats().entries, 2U);
  EXPECT_EQ(cache().stats().tally.served, 2U);
}

// The rule that costs most when broken.
TEST_F(SemanticCacheTest, GroupsNeverMeet) {
  (void)ask(1, 0, "mine");
  EXPECT_EQ(ask(1, 0, "yours"), Outcome::kEmpty);
  EXPECT_EQ(ask(1, 1, "mine"), Outcome::kServe);
  std::mt19937 random(1);
  std::map<std::pair<std::string, int>, bool> asked;
  for (int i = 0; i < 2000; ++i) {
    const std::string group = std::to_string(random() % 7);
    const int topic = static_cast<int>(random() % 20);
    Lookup lookup = lookup_of(topic, static_cast<int>(random() % 100), group, group);
    cache().look_up(lookup);
    for (const Candidate& each : lookup.candidates) EXPECT_TRUE(each.key.starts_with(group)) << each.key;
    settle(lookup, static_cast<uint64_t>(topic));
  }
}

TEST_F(SemanticCacheTest, AConflictIsNeverServedHoweverNear) {
  Lookup first = lookup_of(1, 0, "g", "s", "!");
  cache().look_up(first);
  settle(first, 1);
  for (int i = 0; i < 300; ++i) {
    Lookup other = lookup_of(1, 0);
    cache().look_up(other);
    EXPECT_EQ(other.outcome, Outcome::kConflict);
    EXPECT_EQ(other.candidates.front().conflict, "mark");
    settle(other, 1, false, false);
  }
}

TEST_F(SemanticCacheTest, AFixedThresholdLooksAtTheCosineAlone) {
  options.policy = Policy::kThreshold;
  options.threshold = 0.9;
  Lookup first = lookup_of(1, 0, "g", "s", "!");
  cache().look_up(first);
  settle(first, 1);
  EXPECT_EQ(ask(1, 1), Outcome::kServe);
  EXPECT_EQ(ask(2, 1), Outcome::kFar);
}

TEST_F(SemanticCacheTest, WhatExpiredOrIsForgottenIsNotFound) {
  (void)ask(1, 0);
  (void)ask(2, 0);
  Lookup lookup = lookup_of(1, 1);
  cache().look_up(lookup);
  cache().forget(lookup.candidates.front().row);
  EXPECT_NE(ask(1, 2), Outcome::kServe);
  EXPECT_EQ(cache().forget_if([](std::string_view key) { return key == "g1/2"; }), 1U);
  EXPECT_NE(ask(1, 3), Outcome::kServe);
  clock.advance_ms(1'000'001);
  EXPECT_NE(ask(2, 1), Outcome::kServe);
  EXPECT_NE(ask(1, 4), Outcome::kServe);
}

TEST_F(SemanticCacheTest, AQuestionAskedAfreshReplacesItself) {
  for (int i = 0; i < 3; ++i) {
    Lookup lookup = lookup_of(1, 0);
    cache().look_up(lookup);
    settle(lookup, 1);
  }
  EXPECT_EQ(cache().stats().entries, 1U);
}

TEST_F(SemanticCacheTest, MemoryIsBoundedAndTheOldestGo) {
  options.memory_bytes = 100'000;
  for (int topic = 0; topic < 500; ++topic) (void)ask(topic, 0);
  const auto stats = cache().stats();
  EXPECT_LE(stats.bytes, options.memory_bytes);
  EXPECT_GT(stats.evictions, 0U);
  EXPECT_EQ(stats.entries + stats.evictions, 500U);
  EXPECT_NE(ask(0, 1), Outcome::kServe);
  EXPECT_EQ(ask(499, 1), Outcome::kServe);
}

TEST_F(SemanticCacheTest, AUsersWordEndsTheWrongAnswer) {
  (void)ask(1, 0);
  Lookup lookup = lookup_of(1, 1);
  cache().look_up(lookup);
  ASSERT_EQ(lookup.outcome, Outcome::kServe);
  const std::string hit = cache().decided(lookup, true);
  EXPECT_FALSE(cache().feedback_wrong("nonsense", ""));
  EXPECT_FALSE(cache().feedback_wrong(hit, "another scope"));
  EXPECT_TRUE(cache().feedback_wrong(hit, "s"));
  EXPECT_FALSE(cache().feedback_wrong(hit, "s"));
  EXPECT_NE(ask(1, 1), Outcome::kServe);
}

TEST_F(SemanticCacheTest, WrongAnswersThatComeOutOfAskingAgainAreCounted) {
  options.ask_again = 1;
  (void)ask(1, 0);
  for (int i = 1; i <= 20; ++i) {
    Lookup lookup = lookup_of(1, i);
    cache().look_up(lookup);
    if (lookup.outcome != Outcome::kServe) continue;
    EXPECT_TRUE(lookup.ask_again);
    (void)cache().decided(lookup, true);
    settle(lookup, 7, true, false);  // the world says otherwise
  }
  const Tally tally = cache().stats().tally;
  EXPECT_GT(tally.asked_again, 0U);
  EXPECT_EQ(tally.asked_again_wrong, tally.asked_again);
  EXPECT_GT(tally.wrong_rate().estimate, 0);
}

}  // namespace
}  // namespace payonce::semantic
