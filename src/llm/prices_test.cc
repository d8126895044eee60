#include "llm/prices.h"

#include <gtest/gtest.h>

namespace payonce::llm {
namespace {

int64_t day(std::string_view date) { return *day_unix_ms(date); }

TEST(Prices, AreFoundThroughPrefixesAndDatesAndPriceAllClasses) {
  const PriceTable table = PriceTable::built_in();
  const int64_t today = day("2026-11-26");
  const PriceRow* exact = table.find("gpt-4o", today);
  ASSERT_NE(exact, nullptr);
  EXPECT_EQ(table.find("openai/gpt-4o-2024-08-06", today), exact);
  EXPECT_EQ(table.find("no-such-model", today), nullptr);
  EXPECT_DOUBLE_EQ(table.cost_usd("gpt-4o", {.fresh = 1'000'000, .output = 1'000'000}, today),
                   exact->standard.input + exact->standard.output);
  EXPECT_DOUBLE_EQ(table.cost_usd("no-such-model", {.fresh = 1'000'000}, today), 0);
  EXPECT_DOUBLE_EQ(table.cost_usd("claude-opus-4-6", {.read = 1'000'000, .write_short = 2'000'000}, today), 13.0);
  EXPECT_DOUBLE_EQ(table.cost_usd("claude-opus-4-6", {.write_long = 1'000'000}, today), 10.0);
}

TEST(Prices, AreThoseOfTheDayOfTheRequest) {
  const PriceTable table = PriceTable::built_in();
  for (const char* model : {"gemini-3.8-flash", "gemini/gemini-3.8-flash"}) {
    EXPECT_DOUBLE_EQ(table.cost_usd(model, {.read = 1'000'000}, day("2027-01-01") - 1), 0.075);
    EXPECT_DOUBLE_EQ(table.cost_usd(model, {.read = 1'000'000}, day("2027-01-01")), 0.15);
    EXPECT_DOUBLE_EQ(table.cost_usd(model, {.read = 1'000'000}, day("2027-01-01"), {.batch = true}), 0.075);
    EXPECT_DOUBLE_EQ(table.find(model, day("2027-01-01"))->standard.input, 0.75);
  }
}

TEST(Prices, OfALongPromptAreThoseOfItsTierForAllOfIt) {
  const PriceTable table = PriceTable::built_in();
  const int64_t today = day("2026-11-26");
  EXPECT_NEAR(table.cost_usd("gpt-5.6", {.fresh = 72'000, .read = 200'000}, today), 0.288 + 0.08, 1e-12);
  EXPECT_NEAR(table.cost_usd("gpt-5.6", {.fresh = 72'001, .read = 200'000}, today), 0.576008 + 0.16, 1e-12);
  // Its tier names no price for the 1 h class; the proportion to the input price stays (2.0).
  EXPECT_NEAR(table.cost_usd("claude-haiku-5-5", {.write_long = 100'001}, today), 0.100001, 1e-12);
  // Several ranges; the first of them is the price of a short prompt.
  EXPECT_NEAR(table.cost_usd("dashscope/qwen3-coder-plus", {.fresh = 32'000}, today), 0.032, 1e-12);
  EXPECT_NEAR(table.cost_usd("dashscope/qwen3-coder-plus", {.fresh = 128'001}, today), 0.384003, 1e-12);
}

TEST(Prices, KnowBatchesAndRegions) {
  const PriceTable table = PriceTable::built_in();
  const int64_t today = day("2026-11-26");
  const Usage usage = {.fresh = 1'000'000, .read = 1'000'000, .write_short = 1'000'000, .output = 1'000'000};
  const double opus = 5 + 0.5 + 6.25 + 25;
  EXPECT_DOUBLE_EQ(table.cost_usd("claude-opus-4-6", usage, today), opus);
  EXPECT_DOUBLE_EQ(table.cost_usd("claude-opus-4-6", usage, today, {.batch = true}), opus / 2);
  EXPECT_NEAR(table.cost_usd("claude-opus-4-6", usage, today, {.us_only = true}), opus * 1.1, 1e-12);
  EXPECT_DOUBLE_EQ(table.cost_usd("gpt-4o", usage, today, {.us_only = true}), table.cost_usd("gpt-4o", usage, today));
}

TEST(Prices, WithoutASurchargeForWritingCostTheInputPrice) {
  const PriceTable table = PriceTable::built_in();
  EXPECT_DOUBLE_EQ(table.cost_usd("deepseek-v4-flash", {.write_short = 1'000'000}, day("2026-11-26")), 0.3);
}

TEST(Prices, OfTheConfigurationReplaceTheBuiltInOnesOnEveryDay) {
  PriceTable table = PriceTable::built_in();
  table.set("gemini-3.8-flash", {.input = 1, .output = 2, .cache_read = 0.5});
  for (const char* date : {"2026-11-26", "2027-02-01"})
    EXPECT_DOUBLE_EQ(table.cost_usd("gemini-3.8-flash", {.read = 1'000'000}, day(date)), 0.5) << date;
}

TEST(Days, AreReadOrRefused) {
  EXPECT_EQ(day("1970-01-02"), 86'400'000);
  EXPECT_EQ(day("2027-01-01"), 1'798'761'600'000);
  for (const char* bad : {"", "2027-1-1", "2027-02-30", "2027/01/01", "20270101xx"})
    EXPECT_FALSE(day_unix_ms(bad)) << bad;
}

}  // namespace
}  // namespace payonce::llm
