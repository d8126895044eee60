#include "semantic/policy/calibrator.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace payonce::semantic {
namespace {

// Traffic with a known truth: a question's candidate is right with the probability that `truth` gives its signals.
struct Traffic {
  explicit Traffic(uint64_t seed) : random(seed) {}

  Signals draw() {
    const float logit = std::normal_distribution<float>(-1, 3)(random);
    return {.logit = logit, .cosine = 0.8F + 0.03F * logit, .margin = 3, .support = 0, .entry = 0};
  }
  struct Result {
    double served, wrong, correct;  // shares of all questions
  };
  // Runs `questions` through the calibrator as the cache does, 5 % of what is served asked again.
  template <typename Truth>
  Result run(Calibrator& calibrator, int questions, Truth truth) {
    int served = 0, wrong = 0;
    for (int i = 0; i < questions; ++i) {
      const Signals signals = draw();
      const bool right = std::bernoulli_distribution(truth(signals))(random);
      const bool serve = calibrator.serves(calibrator.probability(signals));
      calibrator.saw(signals, serve ? std::optional<double>(calibrator.probability(signals)) : std::nullopt);
      served += serve;
      wrong += serve && !right;
      if (!serve || std::bernoulli_distribution(0.05)(random)) calibrator.observe(signals, right, serve);
    }
    const double n = questions;
    return {served / n, wrong / n, (served - wrong) / n};
  }
  std::mt19937_64 random;
};

double sigmoid(double z) { return 1 / (1 + std::exp(-z)); }

TEST(Calibrator, KeepsTheBoundWhateverTheVerifierIsWorth) {
  for (const uint64_t seed : {1U, 2U, 3U, 4U})
    for (const double bound : {0.005, 0.01, 0.02}) {
      // An honest verifier, one that is far too sure, one that is far too shy, and one that knows nothing.
      const auto honest = [](const Signals& s) { return sigmoid(static_cast<double>(s.logit)); };
      const auto too_sure = [](const Signals& s) { return sigmoid(0.5 * static_cast<double>(s.logit) - 2); };
      const auto too_shy = [](const Signals& s) { return sigmoid(1.5 * static_cast<double>(s.logit) + 2); };
      const auto nothing = [](const Signals&) { return 0.3; };
      Calibrator a(bound), b(bound), c(bound), d(bound);
      EXPECT_LE(Traffic(seed).run(a, 10'000, honest).wrong, bound * 1.1) << seed;
      EXPECT_LE(Traffic(seed).run(b, 10'000, too_sure).wrong, bound * 1.4) << seed;
      EXPECT_LE(Traffic(seed).run(c, 10'000, too_shy).wrong, bound * 1.1) << seed;
      EXPECT_LE(Traffic(seed).run(d, 10'000, nothing).wrong, 0.02) << seed;  // what it takes to find out
    }
}

TEST(Calibrator, ServesMoreWhereMoreIsRight) {
  const auto honest = [](const Signals& s) { return sigmoid(static_cast<double>(s.logit)); };
  const auto easy = [](const Signals& s) { return sigmoid(static_cast<double>(s.logit) + 3); };
  Calibrator plain(0.01), dense(0.01), generous(0.05);
  const auto of_plain = Traffic(7).run(plain, 10'000, honest);
  const auto of_dense = Traffic(7).run(dense, 10'000, easy);
  const auto of_generous = Traffic(7).run(generous, 10'000, honest);
  EXPECT_GT(of_plain.served, 0.1);
  EXPECT_GT(of_dense.served, of_plain.served * 1.3);
  EXPECT_GT(of_generous.served, of_plain.served * 1.3);
}

TEST(Calibrator, IsStrictWithoutEvidence) {
  Calibrator calibrator(0.01);
  EXPECT_EQ(calibrator.threshold(), Calibrator::kStrict);
  for (int i = 0; i < 200; ++i) calibrator.saw(Signals{.logit = 1, .cosine = 0.9F}, std::nullopt);
  EXPECT_EQ(calibrator.threshold(), Calibrator::kStrict);
}

TEST(Calibrator, AUsersWordCountsAtOnce) {
  Calibrator calibrator(0.01);
  const Signals sure{.logit = 4, .cosine = 0.95F, .margin = 5};
  const double before = calibrator.probability(sure);
  calibrator.served_wrong(sure);
  EXPECT_LT(calibrator.probability(sure), before);
}

TEST(Evidence, MovesByWhatSurprises) {
  Evidence evidence;
  evidence.observe(0.99, true);
  EXPECT_NEAR(evidence.value(), 0.008, 1e-4);
  evidence.observe(0.99, false);
  EXPECT_LT(evidence.value(), -0.7);
  for (int i = 0; i < 100; ++i) evidence.observe(1, false);
  EXPECT_GE(evidence.value(), -2.5);
}

TEST(Tally, KnowsHowLittleItKnows) {
  Tally tally{.questions = 1000, .served = 100};
  EXPECT_EQ(tally.wrong_rate().high, 0.1);
  tally.asked_again = 10;
  EXPECT_EQ(tally.wrong_rate().estimate, 0);
  EXPECT_GT(tally.wrong_rate().high, 0.02);
  tally.asked_again = 1000, tally.asked_again_wrong = 50, tally.served = 1000;
  const auto rate = tally.wrong_rate();
  EXPECT_NEAR(rate.estimate, 0.05, 1e-9);
  EXPECT_NEAR(rate.low, 0.038, 0.003);
  EXPECT_NEAR(rate.high, 0.065, 0.003);
}

}  // namespace
}  // namespace payonce::semantic
