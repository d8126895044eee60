// The examples of platform.claude.com/docs/en/build-with-claude/prompt-caching (copy of 2026-08-21), and the limits
// that its text states.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prompt_cache/sim_fixture.h"

namespace payonce::prompt_cache {
namespace {

using testing::HasSubstr;

constexpr const char* kModel = "claude-sonnet-4-6";  // minimum 1,024

// Blocks 1…count of 200 tokens, a mark on each of `marks`.
std::vector<SimBlock> numbered(size_t count, std::initializer_list<size_t> marks, Ttl ttl = Ttl::kShort) {
  std::vector<SimBlock> out;
  for (size_t i = 1; i <= count; ++i) {
    out.push_back(block_of({.word = "x:200"}));
    out.back().hash.low = i;
  }
  for (const size_t mark : marks) out[mark - 1].mark = ttl;
  return out;
}

TEST(LookBack, TenThenFifteenThenThirtyFiveBlocksMissByOnePosition) {
  Simulation anthropic("anthropic", kModel);
  Billed billed = anthropic.send(0, numbered(10, {10}));
  EXPECT_EQ(billed.write_short, 2000);
  EXPECT_EQ(billed.miss, Miss::kCold);
  billed = anthropic.send(10, numbered(15, {15}));
  EXPECT_EQ(billed.read, 2000);
  EXPECT_EQ(billed.write_short, 1000);
  EXPECT_EQ(billed.miss, Miss::kNone);
  billed = anthropic.send(20, numbered(35, {35}));  // looks at 35 … 16; the entry is at 15
  EXPECT_EQ(billed.read, 0);
  EXPECT_EQ(billed.write_short, 7000);
  EXPECT_EQ(billed.miss, Miss::kOutsideLookback);
  EXPECT_EQ(billed.expected, 3000);
}

TEST(LookBack, ASecondBreakpointOpensASecondWindow) {
  for (const auto& [marks, read] : {std::pair{std::vector<size_t>{35}, 0}, {{15, 35}, 3000}, {{34, 35}, 3000}}) {
    Simulation anthropic("anthropic", kModel);
    anthropic.send(0, numbered(15, {15}));
    std::vector<SimBlock> blocks = numbered(35, {});
    for (const size_t mark : marks) blocks[mark - 1].mark = Ttl::kShort;
    EXPECT_EQ(anthropic.send(10, blocks).read, read);
  }
  Simulation anthropic("anthropic", kModel);  // 34 is the last that reaches back to 15
  anthropic.send(0, numbered(15, {15}));
  EXPECT_EQ(anthropic.send(10, numbered(34, {34})).read, 3000);
}

TEST(Breakpoint, OnAVolatileBlockIsWrittenEachTimeAndNeverRead) {
  Simulation anthropic("anthropic", kModel);
  const auto prompt = [](std::string_view time, bool on_stable) {
    std::vector<SimBlock> out = {block_of({.word = "system:5000", .level = Level::kSystem}),
                                 block_of({.word = time})};
    out[on_stable ? 0 : 1].mark = Ttl::kShort;
    return out;
  };
  for (const char* time : {"10h:20", "11h:20", "12h:20"}) {
    const Billed billed = anthropic.send(0, prompt(time, false));
    EXPECT_EQ(billed.read, 0);
    EXPECT_EQ(billed.write_short, 5020);
  }
  EXPECT_EQ(anthropic.send(1, prompt("13h:20", false)).miss, Miss::kChanged);
  EXPECT_EQ(anthropic.send(1, prompt("13h:20", false)).miss, Miss::kNone);
  EXPECT_EQ(anthropic.send(2, prompt("14h:20", true)).write_short, 5000);
  const Billed fixed = anthropic.send(3, prompt("15h:20", true));
  EXPECT_EQ(fixed.read, 5000);
  EXPECT_EQ(fixed.fresh, 20);
}

TEST(MixedTtl, BillsReadToAThenLongToBThenShortToC) {
  Simulation anthropic("anthropic", kModel);
  const auto prompt = [](Ttl first, Ttl second, Ttl third) {
    return std::vector<SimBlock>{block_of({.word = "tools:5000", .level = Level::kTools, .mark = first}),
                                 block_of({.word = "system:3000", .level = Level::kSystem, .mark = second}),
                                 block_of({.word = "turn:2000", .mark = third}), block_of({.word = "tail:500"})};
  };
  anthropic.send(0, prompt(Ttl::kLong, Ttl::kNone, Ttl::kNone));
  const Billed billed = anthropic.send(1, prompt(Ttl::kLong, Ttl::kLong, Ttl::kShort));
  EXPECT_EQ(billed.read, 5000);
  EXPECT_EQ(billed.write_long, 3000);
  EXPECT_EQ(billed.write_short, 2000);
  EXPECT_EQ(billed.fresh, 500);
  const Rule rule = rule_for(*Providers::built_in().find("anthropic"), kModel);
  EXPECT_DOUBLE_EQ(cost(billed, rule), 500 + 500 + 6000 + 2500);
  // Ten minutes later the short part is gone, the long one is read.
  const Billed later = anthropic.send(600, prompt(Ttl::kLong, Ttl::kLong, Ttl::kShort));
  EXPECT_EQ(later.read, 8000);
  EXPECT_EQ(later.write_short, 2000);
  EXPECT_EQ(later.miss, Miss::kExpired);
}

TEST(Minimum, BelowItNothingHappensAndNothingIsSaid) {
  Simulation opus("anthropic", "claude-opus-4-6");  // 4,096
  for (int turn = 0; turn < 2; ++turn) {
    const Billed billed = opus.send(turn, {{.word = "s:4095", .level = Level::kSystem, .mark = Ttl::kShort}});
    EXPECT_EQ(billed.fresh, 4095);
    EXPECT_EQ(billed.miss, Miss::kBelowMinimum);
  }
  EXPECT_EQ(opus.send(3, {{.word = "s:4096", .level = Level::kSystem, .mark = Ttl::kShort}}).write_short, 4096);
}

TEST(FanOut, BeforeTheFirstByteEachWritesAndReadsNothing) {
  Simulation anthropic("anthropic", kModel);
  anthropic.answer_ms = 2000;
  const auto send = [&](int64_t at_s) { return anthropic.send(at_s, {{.word = "s:5000", .mark = Ttl::kShort}}); };
  EXPECT_EQ(send(0).write_short, 5000);
  const Billed second = send(1);
  EXPECT_EQ(second.write_short, 5000);
  EXPECT_EQ(second.miss, Miss::kNotReadable);
  EXPECT_EQ(send(2).read, 5000);  // the first one's answer has begun
}

TEST(TimeToLive, CountsFromTheStartAndAHitStartsItAnew) {
  Simulation anthropic("anthropic", kModel);
  anthropic.answer_ms = 200'000;  // a long answer does not make the entry live longer
  const auto send = [&](int64_t at_s) { return anthropic.send(at_s, {{.word = "s:5000", .mark = Ttl::kShort}}); };
  send(0);
  EXPECT_EQ(send(299).read, 5000);
  EXPECT_EQ(send(598).read, 5000);
  const Billed late = send(898);
  EXPECT_EQ(late.read, 0);
  EXPECT_EQ(late.miss, Miss::kExpired);
}

TEST(TimeToLive, OfAPositionThatIsReadWithoutAMarkOfItsOwnIsRenewedToo) {
  Simulation anthropic("anthropic", kModel);
  anthropic.send(0, numbered(10, {10}));
  EXPECT_EQ(anthropic.send(200, numbered(15, {15})).read, 2000);
  std::vector<SimBlock> other = numbered(12, {12});
  other[10].hash.high = 1;  // another conversation from block 11 on
  EXPECT_EQ(anthropic.send(400, other).read, 2000);
}

TEST(TimeToLive, OfAMarkedHeadIsRenewedByReadsOfLongerPrefixes) {
  Simulation anthropic("anthropic", kModel);
  const auto send = [&](int64_t at_s, std::string_view turn) {
    return anthropic.send(at_s, {{.word = "head:5000", .level = Level::kSystem, .mark = Ttl::kShort},
                                 {.word = turn, .mark = Ttl::kShort}});
  };
  send(0, "a:1000");
  EXPECT_EQ(send(250, "a:1000").read, 6000);
  EXPECT_EQ(send(500, "b:1000").read, 5000);
}

TEST(TimeToLive, OneHourOutlivesFiveMinutes) {
  for (const auto& [mark, read] : {std::pair{Ttl::kShort, 0}, {Ttl::kLong, 5000}}) {
    Simulation anthropic("anthropic", kModel);
    anthropic.send(0, {{.word = "s:5000", .mark = mark}});
    EXPECT_EQ(anthropic.send(3599, {{.word = "s:5000", .mark = mark}}).read, read);
  }
}

TEST(Marks, ThatTheProviderRefusesAreErrors) {
  Simulation anthropic("anthropic", kModel);
  auto refused = anthropic.try_send(0, numbered(10, {1, 2, 3, 4, 10}));
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("5 breakpoints, at most 4"));
  anthropic.request.automatic = true;  // takes one of the four slots
  EXPECT_FALSE(anthropic.try_send(0, numbered(10, {1, 2, 3, 4})));
  EXPECT_TRUE(anthropic.try_send(0, numbered(10, {1, 2, 3, 10})));  // no slot: the last block is marked already
  anthropic.request.automatic_ttl = Ttl::kLong;
  EXPECT_FALSE(anthropic.try_send(0, numbered(10, {10})));  // two TTLs on one block
  anthropic.request.automatic = false;
  std::vector<SimBlock> blocks = numbered(10, {5, 10});
  blocks[9].mark = Ttl::kLong;
  EXPECT_FALSE(anthropic.try_send(0, blocks));  // a short one before a long one
  blocks[9].mark = Ttl::kShort;
  blocks[9].markable = false;
  EXPECT_FALSE(anthropic.try_send(0, blocks));
  EXPECT_EQ(anthropic.send(1, numbered(15, {15})).read, 2000);  // the one that was accepted had marked block 10
}

TEST(Marks, AutomaticOnesFollowTheConversation) {
  Simulation anthropic("anthropic", kModel);
  anthropic.request.automatic = true;
  EXPECT_EQ(anthropic.send(0, numbered(10, {})).write_short, 2000);
  const Billed next = anthropic.send(1, numbered(12, {}));
  EXPECT_EQ(next.read, 2000);
  EXPECT_EQ(next.write_short, 400);
  anthropic.request.automatic = false;
  EXPECT_EQ(anthropic.send(2, numbered(12, {})).miss, Miss::kUnmarked);
}

TEST(Parameters, InvalidateTheirLevelAndWhatComesAfterIt) {
  const auto prompt = [] {
    return std::vector<SimBlock>{block_of({.word = "tools:2000", .level = Level::kTools, .mark = Ttl::kShort}),
                                 block_of({.word = "system:3000", .level = Level::kSystem, .mark = Ttl::kShort}),
                                 block_of({.word = "turn:1000", .mark = Ttl::kShort})};
  };
  Simulation anthropic("anthropic", kModel);
  anthropic.send(0, prompt());
  anthropic.request.invalidates_messages.low = 1;  // tool_choice, say
  const Billed messages = anthropic.send(1, prompt());
  EXPECT_EQ(messages.read, 5000);
  EXPECT_EQ(messages.miss, Miss::kChanged);
  EXPECT_EQ(messages.common_blocks, 2u);
  anthropic.request.invalidates_system.low = 1;  // web search, say
  EXPECT_EQ(anthropic.send(2, prompt()).read, 2000);
  anthropic.request.invalidates_all.low = 1;
  EXPECT_EQ(anthropic.send(3, prompt()).miss, Miss::kCold);
}

TEST(Isolation, KeepsAccountsAndModelsApart) {
  Simulation anthropic("anthropic", kModel);
  anthropic.send(0, {{.word = "s:5000", .mark = Ttl::kShort}});
  anthropic.request.account = "another";
  EXPECT_EQ(anthropic.send(1, {{.word = "s:5000", .mark = Ttl::kShort}}).miss, Miss::kCold);
}

}  // namespace
}  // namespace payonce::prompt_cache
