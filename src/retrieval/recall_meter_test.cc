#include "retrieval/recall_meter.h"

#include <gtest/gtest.h>

#include <random>

namespace payonce::retrieval {
namespace {

TEST(RecallMeter, KnowsNothingOfAKeyWithoutSearches) {
  RecallMeter meter;
  EXPECT_EQ(meter.read("a").searches, 0U);
  EXPECT_EQ(meter.read("a").low, 0);
}

TEST(RecallMeter, NeedsAboutAHundredAndSeventyPerfectSearchesForNineteenOfTwenty) {
  RecallMeter meter;
  for (int i = 0; i < 172; ++i) meter.add("a", 1);
  EXPECT_LT(meter.read("a").low, 0.95);
  for (int i = 0; i < 2; ++i) meter.add("a", 1);
  EXPECT_GE(meter.read("a").low, 0.95);
  EXPECT_EQ(meter.read("b").searches, 0U);  // keys do not teach each other
}

TEST(RecallMeter, ItsBoundHoldsAtLeastAsOftenAsItSays) {
  std::mt19937 random(7);
  std::binomial_distribution<int> found(10, 0.93);
  int over = 0;
  for (int run = 0; run < 400; ++run) {
    RecallMeter meter;
    for (int i = 0; i < 300; ++i) meter.add("a", found(random) / 10.0);
    over += meter.read("a").low > 0.93;
  }
  EXPECT_LE(over, 20);
}

TEST(RecallMeter, ForgetsWhatIsOutOfItsWindowAndTheKeyUnusedLongest) {
  RecallMeter meter;
  for (size_t i = 0; i < RecallMeter::kWindow; ++i) meter.add("a", 0);
  for (size_t i = 0; i < RecallMeter::kWindow; ++i) meter.add("a", 1);
  EXPECT_EQ(meter.read("a").searches, RecallMeter::kWindow);
  EXPECT_EQ(meter.read("a").mean, 1);
  for (size_t i = 0; i < RecallMeter::kMaxKeys; ++i) meter.add("k" + std::to_string(i), 1);
  EXPECT_EQ(meter.read("a").searches, 0U);
}

}  // namespace
}  // namespace payonce::retrieval
