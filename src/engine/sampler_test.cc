#include "engine/sampler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <map>

namespace payonce::engine {
namespace {

Sampler make(const Sampling& sampling, uint64_t seed = 7, std::vector<int32_t> prompt = {}) {
  return Sampler(sampling, seed, 0, prompt, nullptr);
}

std::map<int32_t, int> draw_many(const Sampling& sampling, const std::vector<float>& logits, int count) {
  Sampler sampler = make(sampling);
  std::map<int32_t, int> out;
  for (int i = 0; i < count; ++i) ++out[sampler.sample(logits, i, {})];
  return out;
}

TEST(Sampler, GreedyTakesTheLikeliestAndTheLowerOfEqualOnes) {
  Sampler sampler = make({.temperature = 0});
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3}, 0, {}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{1, 3, 2, 3}, 0, std::vector<int32_t>{1}), 3);
}

TEST(Sampler, FrequenciesFollowTheProbabilities) {
  const std::vector<float> logits = {std::log(0.5F), std::log(0.3F), std::log(0.2F)};
  const auto drawn = draw_many({.temperature = 1}, logits, 20'000);
  EXPECT_NEAR(drawn.at(0) / 20'000.0, 0.5, 0.02);
  EXPECT_NEAR(drawn.at(1) / 20'000.0, 0.3, 0.02);
  EXPECT_NEAR(drawn.at(2) / 20'000.0, 0.2, 0.02);
}

TEST(Sampler, CutsKeepWhatTheyShouldKeep) {
  const std::vector<float> logits = {std::log(0.4F), std::log(0.3F), std::log(0.2F), std::log(0.1F)};
  EXPECT_EQ(draw_many({.temperature = 1, .top_k = 2}, logits, 2000).size(), 2U);
  EXPECT_EQ(draw_many({.temperature = 1, .top_p = 0.65}, logits, 2000).size(), 2U);
  EXPECT_EQ(draw_many({.temperature = 1, .top_p = 0.0001}, logits, 2000).size(), 1U);
  EXPECT_EQ(draw_many({.temperature = 1, .min_p = 0.4}, logits, 2000).size(), 3U);
}

TEST(Sampler, TheSameSeedChoiceAndPositionGiveTheSameToken) {
  const std::vector<float> logits(100, 0.0F);
  Sampler first = make({.temperature = 1}, 42), second = make({.temperature = 1}, 42),
          other = make({.temperature = 1}, 43);
  Sampler forked = first.fork(1);
  int same_seed = 0, other_seed = 0, other_choice = 0;
  for (int32_t position = 0; position < 200; ++position) {
    const int32_t token = first.sample(logits, position, {});
    same_seed += token == second.sample(logits, position, {});
    other_seed += token == other.sample(logits, position, {});
    other_choice += token == forked.sample(logits, position, {});
  }
  EXPECT_EQ(same_seed, 200);
  EXPECT_LT(other_seed, 20);
  EXPECT_LT(other_choice, 20);
}

TEST(Sampler, PenaltiesCountWhatWasGenerated) {
  Sampler sampler = make({.temperature = 0, .presence_penalty = 1, .frequency_penalty = 0.5});
  const std::vector<float> logits = {2, 1, 0};
  EXPECT_EQ(sampler.sample(logits, 0, {}), 0);
  sampler.accept(0);
  EXPECT_EQ(sampler.sample(logits, 1, {}), 1);  // 2 - 1 - 0.5 < 1
  sampler.accept(1);
  EXPECT_EQ(sampler.sample(logits, 2, {}), 0);  // 0.5 against -0.5 and 0
}

TEST(Sampler, RepetitionPenaltyCountsThePromptToo) {
  Sampler sampler = make({.temperature = 0, .repetition_penalty = 4}, 7, {0});
  EXPECT_EQ(sampler.sample(std::vector<float>{2, 1, 0}, 0, {}), 1);
  EXPECT_EQ(sampler.sample(std::vector<float>{-1, -2, -3}, 0, {}), 1);  // -1 * 4 is below -2
}

TEST(Sampler, BiasAddsToLogits) {
  Sampler sampler = make({.temperature = 0, .logit_bias = {{2, 100}}});
  EXPECT_EQ(sampler.sample(std::vector<float>{2, 1, 0}, 0, {}), 2);
}

TEST(Sampler, LogprobsSumToOneAndComeInOrder) {
  EXPECT_TRUE(rc::check([](std::vector<int16_t> raw) {
    RC_PRE(!raw.empty());
    std::vector<float> logits;
    for (const int16_t each : raw) logits.push_back(static_cast<float>(each) / 1000);
    const auto all = top_logprobs(logits, static_cast<int32_t>(logits.size()));
    RC_ASSERT(all.size() == logits.size());
    double sum = 0;
    for (size_t i = 0; i < all.size(); ++i) {
      sum += std::exp(static_cast<double>(all[i].logprob));
      if (i > 0) RC_ASSERT(all[i - 1].logprob >= all[i].logprob);
    }
    RC_ASSERT(std::abs(sum - 1) < 1e-3);
    const auto top = top_logprobs(logits, 3);
    for (size_t i = 0; i < top.size(); ++i) RC_ASSERT(top[i].token == all[i].token);
  }));
}

}  // namespace
}  // namespace payonce::engine
