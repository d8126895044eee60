#include "prefix/gate/write_gate.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <random>

#include "prefix/gate/provider_model.h"

namespace payonce::prefix {
namespace {

constexpr uint32_t kBlock = 512;

// A prompt of these blocks: equal beginnings give equal chains.
std::vector<Position> blocks(std::span<const uint64_t> ids) {
  std::vector<Position> out;
  uint64_t chain = 1;
  for (const uint64_t id : ids) {
    chain = (chain ^ id) * 0x9e3779b97f4a7c15ULL;
    chain ^= chain >> 29;
    out.push_back({{.low = chain * 0xbf58476d1ce4e5b9ULL, .high = ~chain * 0x94d049bb133111ebULL},
                   static_cast<uint32_t>((out.size() + 1) * kBlock)});
  }
  return out;
}

// Talks that go on with probability `again` after each prompt, half a minute apart; others come in between.
struct Traffic {
  struct Costs {
    double gate = 0, marked_only = 0, ends = 0, oracle = 0;
  };
  double again = 0.5;
  uint64_t system_blocks = 0;  // that all prompts begin with

  Costs run(WriteGate& gate, const Terms& terms, int talks, uint64_t seed) const {
    std::mt19937_64 random(seed);
    struct Turn {
      int64_t at_ms;
      std::vector<uint64_t> ids;
      bool operator>(const Turn& other) const { return at_ms > other.at_ms; }
    };
    std::vector<Turn> turns;
    uint64_t next_id = 1000;
    for (int i = 0; i < talks; ++i) {
      Turn turn{.at_ms = i * 5'000, .ids = {}};
      for (uint64_t k = 0; k < system_blocks; ++k) turn.ids.push_back(k);
      do {
        for (int k = 0; k < 10; ++k) turn.ids.push_back(next_id++);
        turns.push_back(turn);
        turn.at_ms += 20'000 + static_cast<int64_t>(random() % 20'000);
      } while (std::bernoulli_distribution(again)(random) && turn.ids.size() < 100);
    }
    std::stable_sort(turns.begin(), turns.end(), [](auto& a, auto& b) { return a.at_ms < b.at_ms; });

    ProviderModel any(Reading::kAnyWritten, terms.ttl_ms), marked(Reading::kMarkedOnly, terms.ttl_ms);
    ProviderModel every(Reading::kAnyWritten, terms.ttl_ms);
    Hindsight oracle(terms.prices, terms.ttl_ms);
    Billed by_gate, by_marked, by_ends;
    for (const Turn& turn : turns) {
      const auto positions = blocks(turn.ids);
      const Outline prompt{positions, static_cast<uint32_t>(positions.size() * kBlock + 100), turn.at_ms, {}};
      const Decision decision = gate.decide(prompt, terms);
      const uint32_t end[] = {static_cast<uint32_t>(positions.size() - 1)};
      by_gate += any.bill(prompt, decision.marks);
      by_marked += marked.bill(prompt, decision.marks);
      by_ends += every.bill(prompt, end);
      oracle.saw(prompt);
    }
    return {by_gate.relative_cost(terms.prices), by_marked.relative_cost(terms.prices),
            by_ends.relative_cost(terms.prices), oracle.billed().relative_cost(terms.prices)};
  }
};

TEST(WriteGate, WritesTalksThatGoOnAndNotThoseThatEnd) {
  WriteGate often, seldom;
  const auto busy = Traffic{.again = 0.8}.run(often, {}, 2000, 1);
  EXPECT_LT(busy.gate, busy.ends * 1.02);
  EXPECT_LT(busy.gate, 0.6);
  const auto quiet = Traffic{.again = 0.05}.run(seldom, {}, 2000, 1);
  EXPECT_GT(quiet.ends, 1.1);
  EXPECT_LE(quiet.gate, 1.005);  // what it takes to find out
}

TEST(WriteGate, PromptsThatNeverComeAgainCostNothingMore) {
  WriteGate gate;
  EXPECT_DOUBLE_EQ((Traffic{.again = 0}.run(gate, {}, 3000, 2).gate), 1.0);
}

TEST(WriteGate, ASharedSystemPromptIsWrittenOnceAndRead) {
  WriteGate gate;
  const auto costs = Traffic{.again = 0, .system_blocks = 40}.run(gate, {}, 2000, 3);
  EXPECT_LT(costs.gate, 1 - 0.8 * 0.9 + 0.01);  // four fifths are read at 0.1
  EXPECT_DOUBLE_EQ(costs.gate, costs.marked_only);
}

TEST(WriteGate, DearWritesNeedMoreThanAHope) {
  // Three talks in ten go on: too few for a write at twice the price.
  WriteGate gate;
  const Terms hour{.prices = {.write = 2.0, .read = 0.1}, .ttl_ms = 3'600'000};
  const auto costs = Traffic{.again = 0.3}.run(gate, hour, 3000, 8);
  EXPECT_LE(costs.gate, 1.01);  // what it takes to find out
  EXPECT_GT(costs.ends, 1.3);
}

TEST(WriteGate, BothReadingRulesCostTheSame) {
  for (const double again : {0.2, 0.5, 0.9}) {
    WriteGate gate;
    const auto costs = Traffic{.again = again, .system_blocks = 6}.run(gate, {}, 1000, 4);
    EXPECT_NEAR(costs.gate, costs.marked_only, 1e-12) << again;
    EXPECT_LE(costs.oracle, costs.gate) << again;
  }
}

TEST(WriteGate, WhereWritesAreFreeTheEndIsAlwaysMarked) {
  WriteGate gate;
  const Terms terms{.prices = {.write = 1.0, .read = 0.02}};
  for (uint64_t i = 0; i < 100; ++i) {
    const uint64_t ids[] = {i, i + 1, i + 2};
    const auto positions = blocks(ids);
    const auto marks = gate.decide({positions, 3 * kBlock, static_cast<int64_t>(i) * 1000, {}}, terms).marks;
    ASSERT_FALSE(marks.empty());
    EXPECT_EQ(marks.back(), 2u);
  }
}

TEST(WriteGate, KeepsToTheProvidersMinimum) {
  WriteGate gate;
  const Terms terms{.prices = {.write = 1.0, .read = 0.02}, .min_tokens = 1024};
  const uint64_t ids[] = {1, 2, 3};
  const auto positions = blocks(ids);
  for (int i = 0; i < 3; ++i)
    for (const uint32_t mark : gate.decide({positions, 3 * kBlock, 0, {}}, terms).marks) EXPECT_GE(mark, 1u);
}

TEST(WriteGate, ATimeThatGoesBackIsTakenAsNow) {
  WriteGate gate;
  const uint64_t ids[] = {1, 2, 3};
  const auto positions = blocks(ids);
  (void)gate.decide({positions, 3 * kBlock, 1'000'000, {}}, {});
  (void)gate.decide({positions, 3 * kBlock, 5, {}}, {});
  EXPECT_EQ(gate.gaps().share_within(10'000), 1.0);
}

RC_GTEST_PROP(WriteGate, MarksAreFewAscendingAndRepeatable, (uint64_t seed, uint8_t max_marks)) {
  // Small tables, so that forgetting happens all the time.
  const WriteGate::Options small{.positions = 64, .prompts = 8};
  WriteGate a(small), b(small);
  std::mt19937_64 random(seed);
  const Terms terms{.prices = {}, .max_marks = max_marks % 5u};
  int64_t now_ms = 0;
  for (int i = 0; i < 200; ++i) {
    std::vector<uint64_t> ids(random() % 30);
    for (uint64_t& id : ids) id = random() % 100 < 85 ? 0 : random() % 3;
    const auto positions = blocks(ids);
    now_ms += static_cast<int64_t>(random() % 100'000);
    const Outline prompt{positions, static_cast<uint32_t>(ids.size() * kBlock), now_ms, {}};
    const Decision decision = a.decide(prompt, terms);
    RC_ASSERT(decision.marks == b.decide(prompt, terms).marks);
    RC_ASSERT(decision.marks.size() <= terms.max_marks);
    RC_ASSERT(std::adjacent_find(decision.marks.begin(), decision.marks.end(), std::greater_equal<>()) ==
              decision.marks.end());
    RC_ASSERT((decision.marks.empty() || decision.marks.back() < positions.size()));  // the macro breaks a bare ||
    RC_ASSERT((decision.reuse >= 0 && decision.reuse <= 1));
    if (random() % 2 == 0) {
      a.answered(decision.number, 100);
      b.answered(decision.number, 100);
    }
  }
}

TEST(WriteGate, WhatItLearnedComesBack) {
  WriteGate gate, back;
  (void)Traffic{.again = 0.8}.run(gate, {}, 500, 5);
  ASSERT_TRUE(back.load(gate.save()));
  EXPECT_EQ(back.save(), gate.save());
  const uint64_t ids[] = {9'000'001, 9'000'002};
  const auto positions = blocks(ids);
  const Decision learned = back.decide({positions, 2 * kBlock, 0, {}}, {});
  WriteGate fresh;
  EXPECT_GT(learned.reuse, fresh.decide({positions, 2 * kBlock, 0, {}}, {}).reuse);
}

TEST(WriteGate, AnyDamageIsToldAndForgotten) {
  WriteGate gate;
  (void)Traffic{.again = 0.8}.run(gate, {}, 200, 6);
  const std::string good = gate.save(), empty = WriteGate().save();
  std::mt19937_64 random(7);
  for (int i = 0; i < 300; ++i) {
    std::string bad = good;
    bad[random() % bad.size()] ^= static_cast<char>(1u << (random() % 8));
    if (i % 3 == 0) bad.resize(random() % bad.size());
    WriteGate other;
    (void)Traffic{.again = 0.8}.run(other, {}, 20, 6);
    const auto status = other.load(bad);
    ASSERT_FALSE(status);
    EXPECT_EQ(status.error().code, base::Code::kCorrupt);
    EXPECT_EQ(other.save(), empty);
  }
}

// A small trace by hand: two talks, one document asked twice. A changed decision here is a decision.
TEST(WriteGate, GoldenDecisions) {
  WriteGate gate;
  const auto marks = [&](std::vector<uint64_t> ids, int64_t at_s) {
    const auto positions = blocks(ids);
    return gate.decide({positions, static_cast<uint32_t>(ids.size() * kBlock), at_s * 1000, {}}, {}).marks;
  };
  using Marks = std::vector<uint32_t>;
  EXPECT_EQ(marks({1, 2, 3, 4}, 0), Marks{});                          // a newcomer is not believed in
  EXPECT_EQ(marks({1, 2, 3, 4, 5, 6}, 20), (Marks{5}));                // it came back, and may again
  EXPECT_EQ(marks({1, 2, 3, 4, 5, 6, 7}, 40), (Marks{5, 6}));          // reads 6 blocks, writes the seventh
  EXPECT_EQ(marks({8, 9, 10, 11}, 60), (Marks{3}));                    // by now newcomers are
  EXPECT_EQ(marks({1, 2, 3, 4, 5, 6, 7, 12}, 400), (Marks{3, 5, 7}));  // all of it died at 340 s
}

}  // namespace
}  // namespace payonce::prefix
