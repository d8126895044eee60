#include "engine/scheduler.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <numeric>

#include "engine/recording_sink.h"
#include "engine/simulated_executor.h"

namespace payonce::engine {
namespace {

std::vector<int32_t> prompt_of(int32_t count, int32_t salt = 0) {
  std::vector<int32_t> out(static_cast<size_t>(count));
  for (int32_t i = 0; i < count; ++i) out[static_cast<size_t>(i)] = (i * 7 + salt) % SimulatedExecutor::kVocab;
  return out;
}

Generate greedy(std::vector<int32_t> prompt, int32_t count, std::string tenant = "t") {
  Generate out;
  out.prompt = std::move(prompt);
  out.tenant = std::move(tenant);
  out.sampling.temperature = 0;
  out.stopping.max_tokens = count;
  return out;
}

struct Rig {
  explicit Rig(EngineOptions given) : options(std::move(given)) {
    if (options.context_tokens == 0) options.context_tokens = 4096;
    executor = std::make_unique<SimulatedExecutor>(options.full_blocks, options.sliding_blocks, options.window);
    scheduler =
        std::make_unique<Scheduler>(Scheduler::Parts{*executor, nullptr, nullptr, clock, metrics, nullptr}, options);
  }
  std::shared_ptr<RecordingSink> add(Generate request) {
    auto sink = std::make_shared<RecordingSink>();
    scheduler->add(++last_id, std::move(request), sink);
    return sink;
  }
  void run() {
    while (scheduler->step()) {
      scheduler->blocks().check();
      clock.advance_ms(1);
      ASSERT_EQ(executor->fault, "");
    }
    ASSERT_EQ(scheduler->stats().running + scheduler->stats().waiting, 0) << "stuck";
    const EngineStats stats = scheduler->stats();
    EXPECT_EQ(stats.blocks_used, 0);
    EXPECT_EQ(stats.blocks_free + stats.blocks_cached, options.full_blocks);
    EXPECT_EQ(stats.sliding_used, 0);
  }
  EngineOptions options;
  base::FakeClock clock;
  base::Metrics metrics;
  std::unique_ptr<SimulatedExecutor> executor;
  std::unique_ptr<Scheduler> scheduler;
  RequestId last_id = 0;
};

TEST(Scheduler, AColdRunGivesWhatTheModelSays) {
  Rig rig({.full_blocks = 64, .prefill_chunk = 32});
  const auto sink = rig.add(greedy(prompt_of(100), 20));
  rig.run();
  EXPECT_EQ(sink->tokens[0], SimulatedExecutor::greedy(prompt_of(100), 20));
  ASSERT_TRUE(sink->usage);
  EXPECT_EQ(sink->usage->prompt_tokens, 100);
  EXPECT_EQ(sink->usage->cached_tokens, 0);
  EXPECT_EQ(sink->usage->completion_tokens, 20);
  EXPECT_EQ(sink->ends[0].why, Finish::kLength);
}

TEST(Scheduler, ARepeatedPromptComputesOneTokenOfIt) {
  Rig rig({.full_blocks = 64});
  (void)rig.add(greedy(prompt_of(100), 1));
  rig.run();
  const size_t before = rig.executor->computed_rows;
  const auto again = rig.add(greedy(prompt_of(100), 1));
  rig.run();
  EXPECT_EQ(again->usage->cached_tokens, 99);
  EXPECT_EQ(rig.executor->computed_rows - before, 1U);
  EXPECT_EQ(rig.scheduler->stats().hit_tokens, 99U);
}

TEST(Scheduler, EqualPrefixesThatArriveTogetherAreComputedOnce) {
  Rig rig({.full_blocks = 256, .prefill_chunk = 64});
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (int32_t i = 0; i < 8; ++i) {
    auto prompt = prompt_of(512);
    for (int32_t j = 0; j < 10; ++j) prompt.push_back((i + j) % SimulatedExecutor::kVocab);
    sinks.push_back(rig.add(greedy(prompt, 5)));
  }
  rig.run();
  EXPECT_LE(rig.executor->computed_rows, 512U + 8 * (10 + 5));
  int32_t cached = 0;
  for (int32_t i = 0; i < 8; ++i) {
    auto prompt = prompt_of(512);
    for (int32_t j = 0; j < 10; ++j) prompt.push_back((i + j) % SimulatedExecutor::kVocab);
    EXPECT_EQ(sinks[static_cast<size_t>(i)]->tokens[0], SimulatedExecutor::greedy(prompt, 5));
    cached += sinks[static_cast<size_t>(i)]->usage->cached_tokens >= 512;
  }
  EXPECT_EQ(cached, 7);
}

TEST(Scheduler, EqualPrefixesAreComputedOnceEvenWhereTheChunkHasRoomForAll) {
  Rig rig({.full_blocks = 256, .prefill_chunk = 4096});
  for (int32_t i = 0; i < 8; ++i) (void)rig.add(greedy(prompt_of(512), 1));
  rig.run();
  EXPECT_EQ(rig.executor->computed_rows, 512U + 7);
}

TEST(Scheduler, WhoeverWaitsForAPrefixComputesItWhenItsFirstLeaves) {
  Rig rig({.full_blocks = 256, .prefill_chunk = 32});
  (void)rig.add(greedy(prompt_of(300), 5));
  const auto second = rig.add(greedy(prompt_of(300), 5));
  ASSERT_TRUE(rig.scheduler->step());
  rig.scheduler->cancel(1);
  rig.run();
  EXPECT_EQ(second->tokens[0], SimulatedExecutor::greedy(prompt_of(300), 5));
  EXPECT_EQ(second->usage->cached_tokens, 32);
}

TEST(Scheduler, TenantsDoNotShare) {
  Rig rig({.full_blocks = 64});
  const auto first = rig.add(greedy(prompt_of(100), 2, "a"));
  const auto second = rig.add(greedy(prompt_of(100), 2, "b"));
  rig.run();
  EXPECT_EQ(first->usage->cached_tokens + second->usage->cached_tokens, 0);
  EXPECT_EQ(first->tokens, second->tokens);
}

TEST(Scheduler, PublicPrefixesAreShared) {
  Rig rig({.full_blocks = 64, .public_prefixes = {prompt_of(50)}});
  const auto first = rig.add(greedy(prompt_of(100), 2, "a"));
  rig.run();
  const auto second = rig.add(greedy(prompt_of(100), 2, "b"));
  rig.run();
  EXPECT_EQ(second->usage->cached_tokens, 48);
  EXPECT_EQ(first->tokens, second->tokens);
}

TEST(Scheduler, ForksShareTheirPromptAndGoTheirOwnWays) {
  Rig rig({.full_blocks = 128, .max_batch = 64});
  Generate request = greedy(prompt_of(200), 4);
  request.n = 64;
  request.sampling.temperature = 1;
  request.sampling.seed = 3;
  const auto sink = rig.add(request);
  while (sink->tokens.size() < 64) ASSERT_TRUE(rig.scheduler->step());
  // 12 whole blocks of the prompt, and a tail for each.
  EXPECT_LE(rig.scheduler->stats().blocks_used, 12 + 64);
  rig.run();
  std::set<std::vector<int32_t>> different;
  for (const auto& [choice, tokens] : sink->tokens) {
    EXPECT_EQ(tokens.size(), 4U);
    different.insert(tokens);
  }
  EXPECT_GT(different.size(), 32U);
  EXPECT_EQ(sink->usage->completion_tokens, 256);
}

TEST(Scheduler, BestOfGivesTheLikeliest) {
  Rig rig({.full_blocks = 128});
  Generate request = greedy(prompt_of(40), 6);
  request.sampling.temperature = 1;
  request.sampling.seed = 5;
  request.n = 2;
  request.best_of = 8;
  const auto sink = rig.add(request);
  rig.run();
  ASSERT_EQ(sink->ends.size(), 2U);
  EXPECT_GE(sink->ends[0].logprob_sum, sink->ends[1].logprob_sum);
  EXPECT_EQ(sink->usage->completion_tokens, 48);
}

// All ways of three tokens, tried out.
TEST(Scheduler, WideBeamSearchFindsTheBestOfAllSequences) {
  const auto prompt = prompt_of(20);
  const auto logprobs_after = [](const std::vector<int32_t>& tokens) {
    const uint64_t state = SimulatedExecutor::state_after(tokens);
    std::vector<float> logits;
    for (int32_t t = 0; t < SimulatedExecutor::kVocab; ++t) logits.push_back(SimulatedExecutor::logit(state, t));
    std::vector<double> out(logits.size());
    for (const TokenLogprob& each : top_logprobs(logits, SimulatedExecutor::kVocab))
      out[static_cast<size_t>(each.token)] = static_cast<double>(each.logprob);
    return out;
  };
  double best = -1e9;
  std::vector<int32_t> best_tokens;
  std::vector<int32_t> path = prompt;
  const auto first = logprobs_after(path);
  for (int32_t a = 0; a < SimulatedExecutor::kVocab; ++a) {
    path.push_back(a);
    const auto second = logprobs_after(path);
    for (int32_t b = 0; b < SimulatedExecutor::kVocab; ++b) {
      const double sum = first[static_cast<size_t>(a)] + second[static_cast<size_t>(b)];
      if (sum <= best) continue;
      best = sum;
      best_tokens = {a, b};
    }
    path.pop_back();
  }
  Rig rig({.full_blocks = 128, .max_batch = 64});
  Generate request = greedy(prompt, 2);
  request.beam_search = true;
  request.beams = SimulatedExecutor::kVocab;
  request.n = 2;
  const auto sink = rig.add(request);
  rig.run();
  ASSERT_FALSE(sink->error) << sink->error->message;
  EXPECT_EQ(sink->tokens[0], best_tokens);
  EXPECT_NEAR(sink->ends[0].logprob_sum, best, 1e-4);
}

TEST(Scheduler, BeamsShareBlocksAndReturnTheirs) {
  Rig rig({.full_blocks = 64});
  Generate request = greedy(prompt_of(100), 30);
  request.beam_search = true;
  request.beams = 6;
  request.n = 6;
  const auto sink = rig.add(request);
  for (int i = 0; i < 12; ++i) ASSERT_TRUE(rig.scheduler->step());
  EXPECT_LE(rig.scheduler->stats().blocks_used, 6 + 6 * 2);
  rig.run();
  EXPECT_EQ(sink->ends.size(), 6U);
}

TEST(Scheduler, WhenBlocksRunOutTheYoungestStartsAgainAndNothingChanges) {
  Rig rig({.full_blocks = 20});
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (int32_t i = 0; i < 4; ++i) sinks.push_back(rig.add(greedy(prompt_of(60, i), 120)));
  rig.run();
  for (int32_t i = 0; i < 4; ++i)
    EXPECT_EQ(sinks[static_cast<size_t>(i)]->tokens[0], SimulatedExecutor::greedy(prompt_of(60, i), 120));
  EXPECT_GT(rig.scheduler->stats().preemptions, 0U);
}

TEST(Scheduler, WhatCanNeverFitFailsAndTheOthersGoOn) {
  Rig rig({.full_blocks = 8});
  const auto large = rig.add(greedy(prompt_of(100), 100));
  const auto small = rig.add(greedy(prompt_of(20), 5));
  rig.run();
  ASSERT_TRUE(large->error);
  EXPECT_EQ(large->error->code, base::Code::kExhausted);
  EXPECT_EQ(small->tokens[0], SimulatedExecutor::greedy(prompt_of(20), 5));
}

TEST(Scheduler, ALongPromptDoesNotKeepAnswersFromGoingOn) {
  Rig rig({.full_blocks = 512, .prefill_chunk = 64});
  const auto answering = rig.add(greedy(prompt_of(10), 40));
  while (answering->tokens[0].size() < 2) ASSERT_TRUE(rig.scheduler->step());
  (void)rig.add(greedy(prompt_of(2000, 5), 1));
  for (int i = 0; i < 20; ++i) {
    const size_t before = answering->tokens[0].size();
    ASSERT_TRUE(rig.scheduler->step());
    EXPECT_EQ(answering->tokens[0].size(), before + 1);
  }
  EXPECT_LE(rig.executor->largest_batch, 65U);
  rig.run();
}

TEST(Scheduler, ATenantWithManyRequestsDoesNotKeepAnotherOut) {
  Rig rig({.full_blocks = 512, .max_batch = 2, .prefill_chunk = 64});
  for (int32_t i = 0; i < 20; ++i) (void)rig.add(greedy(prompt_of(100, i), 20, "many"));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(rig.scheduler->step());
  const auto one = rig.add(greedy(prompt_of(100, 30), 20, "one"));
  int steps = 0;
  while (!one->over.load()) {
    ASSERT_TRUE(rig.scheduler->step());
    ++steps;
  }
  EXPECT_LT(steps, 60);  // one turn of the batch, not the whole queue
  rig.run();
}

TEST(Scheduler, DeadlinesEndWhatIsLate) {
  Rig rig({.full_blocks = 64});
  Generate request = greedy(prompt_of(10), 1000);
  request.deadline_ms = rig.clock.monotonic_us() / 1000 + 20;
  const auto sink = rig.add(request);
  rig.run();
  ASSERT_TRUE(sink->error);
  EXPECT_EQ(sink->error->code, base::Code::kTimeout);
}

TEST(Scheduler, PromptLogprobsAreThoseOfEachToken) {
  Rig rig({.full_blocks = 64, .prefill_chunk = 16});
  (void)rig.add(greedy(prompt_of(50), 1));
  rig.run();
  Generate request = greedy(prompt_of(50), 1);
  request.prompt_logprobs = 0;
  const auto sink = rig.add(request);
  rig.run();
  ASSERT_EQ(sink->prompt.size(), 49U);
  for (size_t i = 0; i < sink->prompt.size(); ++i) EXPECT_EQ(sink->prompt[i].token, prompt_of(50)[i + 1]);
  EXPECT_EQ(sink->usage->cached_tokens, 0);
}

TEST(Scheduler, RefusesWhatCannotWork) {
  Rig rig({.full_blocks = 8, .context_tokens = 100, .max_batch = 4});
  const auto refused = [&](const Generate& request) {
    const auto status = rig.scheduler->check(request);
    return status ? base::Code::kInternal : status.error().code;
  };
  EXPECT_EQ(refused(greedy({}, 1)), base::Code::kInvalid);
  EXPECT_EQ(refused(greedy(prompt_of(100), 1)), base::Code::kInvalid);
  EXPECT_EQ(refused(greedy(prompt_of(90), 20)), base::Code::kInvalid);
  EXPECT_EQ(refused(greedy({-1}, 1)), base::Code::kInvalid);
  EXPECT_EQ(refused(greedy({SimulatedExecutor::kVocab}, 1)), base::Code::kInvalid);
  Generate many = greedy(prompt_of(10), 1);
  many.n = 5;
  EXPECT_EQ(refused(many), base::Code::kInvalid);
}

// Random arrivals, cancels, forks and beams in tiny pools: every answer is what a run alone gives, no block is lost,
// and the simulated model finds no block that holds something else.
void soak(int32_t window) {
  const int32_t blocks = *rc::gen::inRange(12, 60);
  EngineOptions options{.full_blocks = blocks, .context_tokens = 150};
  if (window > 0) options.sliding_blocks = *rc::gen::inRange(14, 60), options.window = window;
  options.max_batch = *rc::gen::inRange(1, 9);
  options.prefill_chunk = *rc::gen::element(1, 16, 33, 64);
  Rig rig(options);
  struct Asked {
    Generate request;
    std::shared_ptr<RecordingSink> sink;
    bool cancelled = false;
  };
  std::vector<Asked> asked;
  const int rounds = *rc::gen::inRange(5, 60);
  for (int round = 0; round < rounds; ++round) {
    if (*rc::gen::inRange(0, 3) > 0) {
      auto prompt = prompt_of(*rc::gen::inRange(1, 80), *rc::gen::inRange(0, 2));
      for (int32_t i = *rc::gen::inRange(0, 4); i > 0; --i) prompt.push_back(*rc::gen::inRange(0, 3));
      Generate request =
          greedy(std::move(prompt), *rc::gen::inRange(1, 40), *rc::gen::element<std::string>("a", "b"));
      request.sampling.temperature = *rc::gen::element(0.0, 1.0);
      request.sampling.seed = 9;
      request.n = *rc::gen::element(1, 1, 1, 3);
      if (*rc::gen::inRange(0, 8) == 0) request.best_of = request.n + 1;
      if (*rc::gen::inRange(0, 8) == 0)
        request.beam_search = true, request.best_of = 0, request.beams = request.n + 1;
      if (rig.scheduler->check(request)) asked.push_back({request, rig.add(request)});
    }
    if (!asked.empty() && *rc::gen::inRange(0, 10) == 0) {
      const auto which = *rc::gen::inRange<size_t>(0, asked.size());
      asked[which].cancelled = true;
      rig.scheduler->cancel(which + 1);
    }
    for (int steps = *rc::gen::inRange(0, 4); steps > 0; --steps) (void)rig.scheduler->step();
    rig.scheduler->blocks().check();
  }
  rig.run();
  RC_ASSERT(rig.executor->fault.empty());
  for (const Asked& each : asked) {
    if (each.cancelled) continue;
    RC_ASSERT(each.sink->over.load());
    if (each.sink->error) {  // only for want of blocks, and only what is large
      RC_ASSERT(each.sink->error->code == base::Code::kExhausted);
      continue;
    }
    if (each.request.sampling.temperature == 0 && !each.request.beam_search) {
      const auto expected = SimulatedExecutor::greedy(each.request.prompt, each.request.stopping.max_tokens);
      for (const auto& [choice, tokens] : each.sink->tokens) RC_ASSERT(tokens == expected);
    } else {
      Rig alone(
          {.full_blocks = 400, .sliding_blocks = window > 0 ? 400 : 0, .window = window, .context_tokens = 150});
      const auto sink = alone.add(each.request);
      alone.run();
      RC_ASSERT(sink->tokens == each.sink->tokens);
    }
  }
}

TEST(SchedulerSoak, EveryAnswerIsWhatARunAloneGives) {
  EXPECT_TRUE(rc::check([] { soak(0); }));
}

TEST(SchedulerSoak, WithASlidingWindowToo) {
  EXPECT_TRUE(rc::check([] { soak(*rc::gen::element(8, 16, 40)); }));
}

}  // namespace
}  // namespace payonce::engine
