// The other providers' rules, each by its published (or, where the table says so, measured) example.
#include <gtest/gtest.h>

#include "prompt_cache/economics.h"
#include "prompt_cache/sim_fixture.h"

namespace payonce::prompt_cache {
namespace {

// openai/codex issue 35300: a prefix of about 9k tokens, a fixed key, another task each time.
TEST(OpenAi56, ASharedPrefixWithDifferentTailsReadsNothingByDefault) {
  Simulation openai("openai_gpt56plus", "gpt-5.6-sol");
  openai.request.automatic = true;
  openai.request.routing_key = "fixed";
  int64_t written = 0;
  for (const char* task : {"one:400", "two:400", "three:400"}) {
    const Billed billed = openai.send(0, {{.word = "instructions:4000", .level = Level::kSystem, .markable = false},
                                          {.word = "context:5000"},
                                          {.word = task}});
    EXPECT_EQ(billed.read, 0);
    written += billed.write_short;
  }
  EXPECT_EQ(written, 3 * 9400);
}

TEST(OpenAi56, AnExplicitBreakpointAfterTheSharedPartIsRead) {
  Simulation openai("openai_gpt56plus", "gpt-5.6-sol");
  openai.request.automatic = true;
  const auto send = [&](std::string_view task) {
    return openai.send(0, {{.word = "instructions:4000", .level = Level::kSystem, .markable = false},
                           {.word = "context:5000", .mark = Ttl::kShort},
                           {.word = task}});
  };
  send("one:400");
  const Billed billed = send("two:400");
  EXPECT_EQ(billed.read, 9000);  // not rounded to 128
  EXPECT_EQ(billed.write_short, 400);
}

TEST(OpenAi56, AConversationReadsWhereItsLastTurnEnded) {
  Simulation openai("openai_gpt56plus", "gpt-5.6-sol");
  openai.request.automatic = true;
  openai.send(0, {{.word = "s:2000", .level = Level::kSystem, .markable = false}, {.word = "q1:101"}});
  const Billed billed = openai.send(60, {{.word = "s:2000", .level = Level::kSystem, .markable = false},
                                         {.word = "q1:101"},
                                         {.word = "a1:300", .markable = false},
                                         {.word = "q2:50"}});
  EXPECT_EQ(billed.read, 2101);
  EXPECT_EQ(billed.write_short, 350);
}

TEST(OpenAi56, ExplicitModeDoesNotReadWhatImplicitModeWrote) {
  Simulation openai("openai_gpt56plus", "gpt-5.6-sol");
  openai.request.automatic = true;
  openai.send(0, {{.word = "q:2000"}});
  openai.request.automatic = false;
  EXPECT_EQ(openai.send(1, {{.word = "q:2000"}}).miss, Miss::kUnmarked);  // explicit without a mark caches nothing
  EXPECT_EQ(openai.send(1, {{.word = "q:2000", .mark = Ttl::kShort}}).read, 0);
  EXPECT_EQ(openai.send(2, {{.word = "q:2000", .mark = Ttl::kShort}}).read, 2000);
}

TEST(OpenAi56, DropsSurplusMarksAndSeparatesKeys) {
  Simulation openai("openai_gpt56plus", "gpt-5.6-sol");
  const auto send = [&](std::string_view last) {
    return openai.send(0, {{.word = "a:2000", .mark = Ttl::kShort},
                           {.word = "b:2000", .mark = Ttl::kShort},
                           {.word = "c:2000", .mark = Ttl::kShort},
                           {.word = "d:2000", .mark = Ttl::kShort},
                           {.word = last, .mark = Ttl::kShort}});
  };
  EXPECT_EQ(send("e:2000").write_short, 10'000);
  EXPECT_EQ(openai.send(1, {{.word = "a:2000", .mark = Ttl::kShort}}).read, 0);  // the oldest was dropped
  EXPECT_EQ(openai.send(1, {{.word = "a:2000"}, {.word = "b:2000", .mark = Ttl::kShort}}).read, 4000);
  openai.request.routing_key = "another";
  EXPECT_EQ(openai.send(1, {{.word = "a:2000"}, {.word = "b:2000", .mark = Ttl::kShort}}).read, 0);
}

TEST(OpenAiOlder, ReadsInStepsOf128FromTheMinimumOn) {
  Simulation openai("openai_older", "gpt-4o");
  openai.send(0, {{.word = "s:1500", .level = Level::kSystem}, {.word = "q1:100"}});
  const Billed billed = openai.send(1, {{.word = "s:1500", .level = Level::kSystem}, {.word = "q2:100"}});
  EXPECT_EQ(billed.read, 1408);  // 11 × 128
  EXPECT_EQ(billed.fresh, 192);
  EXPECT_EQ(billed.write_short + billed.write_long, 0);
  Simulation small("openai_older", "gpt-4o");
  small.send(0, {{.word = "s:1000"}});
  EXPECT_EQ(small.send(1, {{.word = "s:1000"}}).miss, Miss::kBelowMinimum);
  Simulation newest("openai_older", "gpt-5.5");
  newest.send(0, {{.word = "s:5000"}, {.word = "x:10"}});
  EXPECT_EQ(newest.send(1, {{.word = "s:5000"}, {.word = "y:10"}}).read, 4096);
}

TEST(OpenAiOlder, InMemoryEntriesLiveAtMostAnHourHoweverOftenTheyAreRead) {
  Simulation openai("openai_older", "gpt-4o");
  openai.request.automatic_ttl = Ttl::kShort;
  for (int64_t at_s = 0; at_s < 3600; at_s += 240) openai.send(at_s, {{.word = "s:2048"}});
  EXPECT_EQ(openai.send(3599, {{.word = "s:2048"}}).read, 2048);
  EXPECT_EQ(openai.send(3600, {{.word = "s:2048"}}).read, 0);
}

// api-docs.deepseek.com/guides/kv_cache: A+B, A+C, then A+D hits A.
TEST(DeepSeek, FindsACommonPrefixAtTheSecondRequestAndReadsItAtTheThird) {
  Simulation deepseek("deepseek", "deepseek-v4-flash");
  EXPECT_EQ(deepseek.send(0, {{.word = "A:1280"}, {.word = "B:640"}}).read, 0);
  EXPECT_EQ(deepseek.send(1, {{.word = "A:1280"}, {.word = "C:640"}}).read, 0);
  const Billed third = deepseek.send(2, {{.word = "A:1280"}, {.word = "D:640"}});
  EXPECT_EQ(third.read, 1280);
  EXPECT_EQ(third.fresh, 640);
}

TEST(DeepSeek, ReadsWholeUnitsAtEndsOfInputsAndAnswersAndInLongPrompts) {
  Simulation deepseek("deepseek", "deepseek-v4-flash");
  const std::vector<SimBlock> answer = {block_of({.word = "a1:320"})};
  deepseek.request.answer = answer;
  deepseek.send(0, {{.word = "q1:1280"}});
  deepseek.request.answer = {};
  EXPECT_EQ(deepseek.send(1, {{.word = "q1:1280"}, {.word = "other:320"}}).read, 1280);
  EXPECT_EQ(deepseek.send(2, {{.word = "q1:1280"}, {.word = "a1:320"}, {.word = "q2:64"}}).read, 1600);
  deepseek.send(3, {{.word = "book:10000"}, {.word = "x:5000"}});
  EXPECT_EQ(deepseek.send(4, {{.word = "book:10000"}, {.word = "y:10"}}).read, 8192);
}

TEST(Qwen, ReadsOnlyAfterTheAnswerAndBillsMarkedWrites) {
  Simulation qwen("qwen_explicit", "qwen3.8-max");
  qwen.request.automatic = true;  // there is no such thing here
  qwen.answer_ms = 5000;
  EXPECT_EQ(qwen.send(0, {{.word = "s:2000", .mark = Ttl::kShort}, {.word = "q:9"}}).write_short, 2000);
  EXPECT_EQ(qwen.send(4, {{.word = "s:2000", .mark = Ttl::kShort}, {.word = "q:9"}}).miss, Miss::kNotReadable);
  EXPECT_EQ(qwen.send(5, {{.word = "s:2000", .mark = Ttl::kShort}, {.word = "r:9"}}).read, 2000);
  EXPECT_EQ(qwen.send(6, {{.word = "s:2000"}, {.word = "q:9"}}).miss, Miss::kUnmarked);  // implicit is another row
  Simulation implicit("qwen_implicit", "qwen3.8-max");
  implicit.send(0, {{.word = "s:2000"}, {.word = "q:9"}});
  EXPECT_EQ(implicit.send(9, {{.word = "s:2000"}, {.word = "r:9"}}).read, 2000);
}

TEST(Gemini, ReadsCommonPrefixesAndNamedContents) {
  Simulation gemini("gemini", "gemini-3.8-flash");
  gemini.send(0, {{.word = "s:4096"}, {.word = "q:9"}});
  EXPECT_EQ(gemini.send(1, {{.word = "s:4096"}, {.word = "r:9"}}).read, 4096);
  Simulation small("gemini", "gemini-3.8-flash");
  small.send(0, {{.word = "s:4000"}});
  EXPECT_EQ(small.send(1, {{.word = "s:4000"}}).read, 0);
  Simulation content("gemini_explicit", "gemini-2.5-pro");
  EXPECT_EQ(content.send(0, {{.word = "s:3000", .mark = Ttl::kLong}, {.word = "q:9"}}).write_long, 3000);
  EXPECT_EQ(content.send(3500, {{.word = "s:3000", .mark = Ttl::kLong}, {.word = "r:9"}}).read, 3000);
  EXPECT_EQ(content.send(3600, {{.word = "s:3000", .mark = Ttl::kLong}, {.word = "t:9"}}).read, 0);  // not renewed
}

TEST(Kimi, BillsWhatItWritesByTheChosenTtl) {
  Simulation kimi("moonshot", "kimi-k3");
  EXPECT_EQ(kimi.send(0, {{.word = "s:1000"}, {.word = "q:24"}}).write_short, 1024);
  EXPECT_EQ(kimi.send(1, {{.word = "s:1000"}, {.word = "r:24"}}).read, 768);
  kimi.request.automatic_ttl = Ttl::kLong;
  EXPECT_EQ(kimi.send(2, {{.word = "z:1000"}}).write_long, 1000);
  EXPECT_DOUBLE_EQ(cost({.write_long = 1000}, kimi.simulator.rule("kimi-k3")), 2000);
}

TEST(Mistral, CachesOnlyWithAKey) {
  Simulation mistral("mistral", "mistral-large-4");
  mistral.send(0, {{.word = "s:1000"}});
  EXPECT_EQ(mistral.send(1, {{.word = "s:1000"}}).read, 0);
  mistral.request.routing_key = "k";
  mistral.send(2, {{.word = "s:1000"}});
  EXPECT_EQ(mistral.send(3, {{.word = "s:1000"}}).read, 1000);
}

TEST(SelfHosted, EnginesReadByBlockByTokenOrBySlot) {
  const auto second = [](std::string_view engine) {
    Simulation simulation(engine, "m");
    simulation.send(0, {{.word = "s:100"}, {.word = "q:7"}});
    return simulation.send(1, {{.word = "s:100"}, {.word = "r:7"}}).read;
  };
  EXPECT_EQ(second("vllm"), 96);
  EXPECT_EQ(second("sglang"), 100);
  EXPECT_EQ(second("payonce"), 100);
  EXPECT_EQ(second("llamacpp"), 100);
  for (const char* engine : {"sglang", "payonce", "llamacpp"}) {  // the last token is always computed
    Simulation simulation(engine, "m");
    simulation.send(0, {{.word = "s:100"}});
    EXPECT_EQ(simulation.send(1, {{.word = "s:100"}}).read, 99) << engine;
  }
  Simulation answers("vllm", "m");
  const std::vector<SimBlock> answer = {block_of({.word = "a:32"})};
  answers.request.answer = answer;
  answers.send(0, {{.word = "q:64"}});
  EXPECT_EQ(answers.send(1, {{.word = "q:64"}, {.word = "a:32"}, {.word = "r:5"}}).read, 96);
}

TEST(SelfHosted, LlamaCppForgetsWhatFourOtherPromptsPushedOut) {
  Simulation llama("llamacpp", "m");
  for (const char* other : {"a:100", "b:100", "c:100", "d:100"}) llama.send(0, {{.word = other}});
  EXPECT_EQ(llama.send(1, {{.word = "a:100"}, {.word = "x:5"}}).read, 100);
  llama.send(2, {{.word = "e:100"}});  // takes the slot of b, the least recently used
  EXPECT_EQ(llama.send(3, {{.word = "b:100"}, {.word = "x:5"}}).read, 0);
  EXPECT_EQ(llama.send(4, {{.word = "a:100"}, {.word = "y:5"}}).read, 100);
}

struct Worth {
  const char* provider;
  const char* model;
  Ttl ttl;
  int64_t break_even;
  double saving_of_ten;
  int64_t pings, pings_before_hour;  // -1: not in the table
};

TEST(Economics, AreThoseOfTheTable) {
  for (const Worth& want : {Worth{"anthropic", "claude-opus-5", Ttl::kShort, 1, 0.795, 11, 7},
                            {"openai_gpt56plus", "gpt-5.6", Ttl::kShort, 1, 0.795, 11, -1},
                            {"anthropic", "claude-opus-5-5", Ttl::kShort, 1, 0.841, 24, 15},
                            {"openai_gpt56plus", "gpt-6.1-sol", Ttl::kShort, 1, 0.841, 24, -1},
                            {"anthropic", "claude-fable-5-1", Ttl::kShort, 1, 0.864, 49, 30},
                            {"anthropic", "claude-opus-5", Ttl::kLong, 2, 0.727, -1, -1},
                            {"deepseek", "deepseek-v4-flash", Ttl::kShort, 1, 0.891, -1, -1}}) {
    SCOPED_TRACE(want.model);
    const Rule rule = rule_for(*Providers::built_in().find(want.provider), want.model);
    const Factors factors = factors_of(rule, want.ttl);
    EXPECT_EQ(break_even_reads(factors), want.break_even);
    EXPECT_NEAR(saving(factors, 10), want.saving_of_ten, 0.0005);
    EXPECT_EQ(want.pings < 0 ? -1 : pings_before_rewrite(factors), want.pings);
    EXPECT_EQ(want.pings_before_hour < 0 ? -1 : pings_before_long(factors, 2.0), want.pings_before_hour);
  }
  EXPECT_DOUBLE_EQ(saving({.write = 1.25, .read = 0.1}, 0), -0.25);
  EXPECT_NEAR(mark_threshold({.write = 1.25, .read = 0.1}), 0.278, 0.0005);
  EXPECT_EQ(break_even_reads({.write = 1.25, .read = 1}), -1);
}

}  // namespace
}  // namespace payonce::prompt_cache
