#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "prefix/gate/choose_marks.h"
#include "prefix/gate/choose_ttl.h"

namespace payonce::prefix {
namespace {

// ---- marks -----------------------------------------------------------------------------------------------

TEST(ChooseMarks, AMarkPaysExactlyWhenReuseIsLikelyEnough) {
  const MarkOptions options{.prices = {.write = 1.25, .read = 0.1}, .saving = 0.9};
  const auto marks = [&](double reuse) { return choose_marks({{{7, 1000, reuse, false}}}, options).marks; };
  EXPECT_TRUE(marks(0.27).empty());  // (w − 1) / (1 − r) = 0.278
  EXPECT_EQ(marks(0.28), std::vector<uint32_t>{7});
}

TEST(ChooseMarks, WhereWritesAreFreeTheEndIsAlwaysMarked) {
  const MarkOptions options{.prices = {.write = 1.0, .read = 0.02}, .saving = 0.98};
  EXPECT_EQ(choose_marks({{{0, 1000, 0.01, false}}}, options).marks, std::vector<uint32_t>{0});
}

TEST(ChooseMarks, TheSharedPartIsWrittenAndTheUnlikelyTailIsNot) {
  const MarkOptions options;
  const std::vector<Candidate> candidates{{0, 4000, 0.9, false}, {1, 40'000, 0.1, false}};
  EXPECT_EQ(choose_marks(candidates, options).marks, std::vector<uint32_t>{0});
}

TEST(ChooseMarks, WhatThisRequestReadsStaysMarked) {
  const MarkOptions options{.prices = {}, .read_tokens = 4000};
  const std::vector<Candidate> candidates{{0, 4000, 0, true}, {1, 40'000, 0.1, false}};
  EXPECT_EQ(choose_marks(candidates, options).marks, std::vector<uint32_t>{0});
}

struct Problem {
  std::vector<Candidate> candidates;
  MarkOptions options;
};

Problem problem(const std::vector<std::pair<uint16_t, uint8_t>>& steps, uint8_t max_marks, uint8_t required) {
  Problem out{.candidates = {}, .options = {.prices = {.write = 1.25, .read = 0.1}, .max_marks = max_marks % 5u}};
  uint32_t tokens = 0;
  double reuse = 1;
  for (const auto& [length, fall] : steps) {
    if (out.candidates.size() == 8) break;
    tokens += length + 1u;
    reuse *= 1 - fall / 256.0;
    out.candidates.push_back({static_cast<uint32_t>(out.candidates.size()), tokens, reuse, false});
  }
  if (out.options.max_marks > 0 && required < out.candidates.size()) {
    out.candidates[required].required = true;
    out.options.read_tokens = out.candidates[required].tokens;
  }
  return out;
}

double worth(const Problem& p, const std::vector<uint32_t>& marks) {
  double value = 0;
  uint32_t before = 0;
  for (const uint32_t mark : marks) {
    value += p.options.saving * p.candidates[mark].reuse * (p.candidates[mark].tokens - before);
    before = p.candidates[mark].tokens;
  }
  return value - (p.options.prices.write - 1) * (before - std::min(before, p.options.read_tokens));
}

RC_GTEST_PROP(ChooseMarks, IsTheBestOfAllSets,
              (const std::vector<std::pair<uint16_t, uint8_t>>& steps, uint8_t max_marks, uint8_t required)) {
  const Problem p = problem(steps, max_marks, static_cast<uint8_t>(required % 12));
  const Choice choice = choose_marks(p.candidates, p.options);
  RC_ASSERT(choice.marks.size() <= p.options.max_marks);
  RC_ASSERT(std::is_sorted(choice.marks.begin(), choice.marks.end()));
  const auto needed = std::find_if(p.candidates.begin(), p.candidates.end(), [](auto& c) { return c.required; });
  double best = needed == p.candidates.end() ? 0 : worth(p, {needed->index});
  for (uint32_t set = 0; set < (1u << p.candidates.size()); ++set) {
    std::vector<uint32_t> marks;
    for (uint32_t i = 0; i < p.candidates.size(); ++i)
      if ((set >> i) & 1u) marks.push_back(i);
    if (marks.size() > p.options.max_marks) continue;
    if (needed != p.candidates.end() && ((set >> needed->index) & 1u) == 0) continue;
    best = std::max(best, worth(p, marks));
  }
  RC_ASSERT(std::abs(worth(p, choice.marks) - choice.saving) < 1e-6);
  RC_ASSERT(choice.saving > best - 1e-6);
}

RC_GTEST_PROP(ChooseMarks, DearerWritesNeverWriteMore,
              (const std::vector<std::pair<uint16_t, uint8_t>>& steps, uint8_t max_marks)) {
  Problem p = problem(steps, max_marks, 255);
  uint32_t before = std::numeric_limits<uint32_t>::max();
  for (const double write : {1.0, 1.25, 2.0, 3.0}) {
    p.options.prices.write = write;
    const auto marks = choose_marks(p.candidates, p.options).marks;
    const uint32_t written = marks.empty() ? 0 : p.candidates[marks.back()].tokens;
    RC_ASSERT(written <= before);
    before = written;
  }
}

// ---- how long --------------------------------------------------------------------------------------------

TEST(ChooseTtl, TheTableOfBreakEvenPings) {
  EXPECT_EQ(pings_before_rewrite(1.25, 0.1), 11u);
  EXPECT_EQ(pings_before_rewrite(1.25, 0.05), 24u);
  EXPECT_EQ(pings_before_rewrite(1.25, 0.025), 49u);
  EXPECT_EQ(pings_before_long(1.25, 2.0, 0.1), 7u);
  EXPECT_EQ(pings_before_long(1.25, 2.0, 0.05), 15u);
  EXPECT_EQ(pings_before_long(1.25, 2.0, 0.025), 30u);
}

GapHistogram gaps_of(std::initializer_list<int64_t> seconds, int never = 0) {
  GapHistogram gaps;
  for (const int64_t s : seconds)
    for (int i = 0; i < 100; ++i) gaps.reused(s * 1000);
  for (int i = 0; i < never; ++i) gaps.never();
  return gaps;
}

TEST(ChooseTtl, FollowsTheGaps) {
  const TtlPrices prices{.max_pings = 20};
  EXPECT_EQ(choose_ttl(GapHistogram{}, prices).keep, Keep::kNone);
  EXPECT_EQ(choose_ttl(gaps_of({60}, 400), prices).keep, Keep::kNone);  // one in five: below 0.278
  EXPECT_EQ(choose_ttl(gaps_of({60}, 100), prices).keep, Keep::kShort);
  const TtlChoice pinged = choose_ttl(gaps_of({1000}), prices);  // 17 min: three pings, 0.3 instead of 0.75
  EXPECT_EQ(pinged.keep, Keep::kPings);
  EXPECT_EQ(pinged.pings, 3u);
  TtlPrices dear = prices;
  dear.miss = 1.25;
  EXPECT_EQ(choose_ttl(gaps_of({3300}), dear).keep, Keep::kLong);  // 55 min: eleven pings cost 1.1
  dear.read = 0.05;
  EXPECT_EQ(choose_ttl(gaps_of({3300}), dear).keep, Keep::kPings);  // at half the price they beat the hour
  dear.max_pings = 0;
  EXPECT_EQ(choose_ttl(gaps_of({3300}), dear).keep, Keep::kLong);
  dear.write_long = 0;
  EXPECT_EQ(choose_ttl(gaps_of({3300}), dear).keep, Keep::kNone);
}

TEST(ChoosePings, AsLongAsTheGapsAreWorthTheReads) {
  const TtlPrices prices;
  EXPECT_EQ(choose_pings(GapHistogram{}, prices), 0u);
  EXPECT_EQ(choose_pings(gaps_of({60}), prices), 0u);         // it is read in time by itself
  EXPECT_EQ(choose_pings(gaps_of({60}, 100), prices), 0u);    // or never
  EXPECT_EQ(choose_pings(gaps_of({1000}), prices), 3u);       // 17 min: 0.3 for pings instead of 1.15
  EXPECT_EQ(choose_pings(gaps_of({1000}, 600), prices), 0u);  // one in seven comes back: 2.1 in pings
  EXPECT_EQ(choose_pings(gaps_of({60, 400, 400}, 100), prices), 1u);
  EXPECT_EQ(choose_pings(gaps_of({3300}), prices), 0u);  // 55 min: eleven pings; the long TTL would be cheaper
  EXPECT_EQ(choose_pings(gaps_of({3300}), {.write_long = 0}), 11u);
  EXPECT_EQ(choose_pings(gaps_of({3300}), {.read = 0.05}), 11u);  // at half the price they beat it
  EXPECT_EQ(choose_pings(gaps_of({1000}), {.write_short = 1, .write_long = 0, .read = 1}), 0u);
  EXPECT_EQ(choose_pings(gaps_of({1000}), {.short_ms = 0}), 0u);  // until evicted
}

TEST(GapHistogram, OldHabitsFade) {
  GapHistogram gaps = gaps_of({60, 60, 60});
  EXPECT_DOUBLE_EQ(gaps.share_within(300'000), 1);
  for (int i = 0; i < 100'000; ++i) gaps.never();
  EXPECT_LT(gaps.share_within(300'000), 0.001);
  EXPECT_LT(gaps.weight(), 1.01 * GapHistogram::kHalfLife / 0.6931);
}

TEST(GapHistogram, ComesBackFromItsBytes) {
  const GapHistogram gaps = gaps_of({5, 50, 500}, 7);
  std::string bytes;
  gaps.save(bytes);
  GapHistogram back;
  base::NumberReader reader(bytes);
  ASSERT_TRUE(back.load(reader));
  for (const int64_t ms : {4'000, 60'000, 600'000, 3'600'000})
    EXPECT_DOUBLE_EQ(back.share_within(ms), gaps.share_within(ms));
  base::NumberReader torn(std::string_view(bytes).substr(0, bytes.size() - 1));
  EXPECT_FALSE(back.load(torn));
  EXPECT_EQ(back.weight(), 0);
}

}  // namespace
}  // namespace payonce::prefix
