#include <gtest/gtest.h>

#include "route/limits.h"
#include "route/retry.h"
#include "route/routes.h"

namespace payonce::route {
namespace {

UpstreamPtr upstream(std::string name, std::vector<std::string> models, UpstreamKind kind = UpstreamKind::kOpenAi) {
  auto made = std::make_shared<Upstream>();
  made->name = std::move(name);
  made->models = std::move(models);
  made->kind = kind;
  return made;
}

std::string names(const base::Result<std::vector<UpstreamPtr>>& chosen) {
  if (!chosen) return "error";
  std::string out;
  for (const UpstreamPtr& one : *chosen) out += one->name;
  return out;
}

TEST(Routes, TheMostExactNameWinsAndEqualsAreForFailover) {
  const Routes routes(
      {upstream("a", {"gpt-*"}), upstream("b", {"gpt-5"}), upstream("c", {}), upstream("d", {"gpt-5", "x"})});
  EXPECT_EQ(names(routes.choose("gpt-5", UpstreamKind::kOpenAi)), "bd");
  EXPECT_EQ(names(routes.choose("gpt-4", UpstreamKind::kOpenAi)), "a");
  EXPECT_EQ(names(routes.choose("qwen", UpstreamKind::kOpenAi)), "c");
  EXPECT_EQ(names(routes.choose("", UpstreamKind::kOpenAi)), "a");
}

TEST(Routes, AnUpstreamOfTheWiresOwnKindGoesFirst) {
  const Routes both({upstream("o", {}), upstream("n", {}, UpstreamKind::kAnthropic)});
  EXPECT_EQ(names(both.choose("claude", UpstreamKind::kAnthropic)), "n");
  EXPECT_EQ(names(both.choose("gpt", UpstreamKind::kOpenAi)), "o");
  EXPECT_EQ(names(Routes({upstream("o", {})}).choose("claude", UpstreamKind::kAnthropic)), "o");
  const auto none = Routes({upstream("o", {"gpt-*"})}).choose("claude", UpstreamKind::kAnthropic);
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("gpt-*"), std::string::npos);
}

TEST(Routes, Patterns) {
  EXPECT_TRUE(matches_pattern("claude-*-haiku*", "claude-4-haiku-2026"));
  EXPECT_FALSE(matches_pattern("claude-*-haiku", "claude-4-haiku-2026"));
  EXPECT_TRUE(matches_pattern("*", ""));
  EXPECT_FALSE(matches_pattern("gpt", "gpt-4"));
}

TEST(Breaker, OpensAfterARunOfFailuresAndProbesOnce) {
  Breaker breaker({.failures = 2, .open_ms = 100});
  EXPECT_FALSE(breaker.failed(0));
  EXPECT_FALSE(breaker.succeeded());
  EXPECT_FALSE(breaker.failed(0));
  EXPECT_TRUE(breaker.allow(0));
  EXPECT_TRUE(breaker.failed(0));
  EXPECT_FALSE(breaker.allow(99));
  EXPECT_TRUE(breaker.is_open(99));
  EXPECT_TRUE(breaker.allow(100));
  EXPECT_FALSE(breaker.allow(101));
  EXPECT_FALSE(breaker.failed(101)) << "it was open before the probe";
  EXPECT_TRUE(breaker.succeeded());
  EXPECT_FALSE(breaker.succeeded());
  EXPECT_TRUE(breaker.allow(102));
}

TEST(Retry, WhatMayHaveBeenBilledIsNotSentTwiceToOneUpstream) {
  const RetryPolicy policy;
  std::minstd_rand random(1);
  RetryState one(policy, {upstream("a", {})});
  EXPECT_EQ(one.next(0)->name, "a");
  EXPECT_FALSE(one.pause_ms({.status = 503, .sent = true}, random));
  EXPECT_FALSE(one.pause_ms({.status = 0, .sent = true}, random));
  EXPECT_TRUE(one.pause_ms({.status = 0, .sent = false}, random));
}

TEST(Retry, FailsOverAtOnceThenPausesThenEnds) {
  const RetryPolicy policy{.attempts = 3};
  std::minstd_rand random(1);
  RetryState two(policy, {upstream("a", {}), upstream("b", {})});
  EXPECT_EQ(two.next(0)->name, "a");
  EXPECT_EQ(two.pause_ms({.status = 500, .sent = true}, random), 0);
  EXPECT_EQ(two.next(0)->name, "b");
  EXPECT_TRUE(two.pause_ms({.status = 0, .sent = true}, random));
  EXPECT_EQ(two.next(0)->name, "a");
  EXPECT_FALSE(two.pause_ms({.status = 500, .sent = true}, random));
  RetryState bad(policy, {upstream("a", {}), upstream("b", {})});
  (void)bad.next(0);
  EXPECT_FALSE(bad.pause_ms({.status = 400, .sent = true}, random));
}

TEST(Retry, AListedStatusHonoursRetryAfterUpToTheLimit) {
  const RetryPolicy policy{.attempts = 5, .max_pause_ms = 1000, .statuses = {429}};
  std::minstd_rand random(1);
  RetryState one(policy, {upstream("a", {})});
  (void)one.next(0);
  EXPECT_GE(one.pause_ms({.status = 429, .sent = true, .retry_after_ms = 700}, random).value(), 700);
  EXPECT_FALSE(one.pause_ms({.status = 429, .sent = true, .retry_after_ms = 5000}, random));
}

TEST(Retry, SkipsAnOpenBreakerWhileThereIsAnother) {
  const UpstreamPtr a = upstream("a", {}), b = upstream("b", {});
  for (int i = 0; i < 5; ++i) a->breaker->failed(0);
  const RetryPolicy policy;
  RetryState state(policy, {a, b});
  EXPECT_EQ(state.next(1)->name, "b");
  RetryState alone(policy, {a});
  EXPECT_EQ(alone.next(1)->name, "a");
}

TEST(Limits, AnswersWhetherTheBudgetIsUsedUpWithoutTakingAnything) {
  Limits limits;
  const Limit limit{.requests_per_minute = 1, .budget_usd_per_day = 1};
  const int64_t day_ms = 86'400'000;
  EXPECT_TRUE(limits.affords("a", limit, 0));
  limits.spent("a", 1, 0);
  EXPECT_FALSE(limits.affords("a", limit, 0));
  EXPECT_TRUE(limits.affords("a", {}, 0));
  EXPECT_TRUE(limits.affords("b", limit, 0));
  EXPECT_TRUE(limits.affords("a", limit, day_ms));
  EXPECT_FALSE(limits.take("a", limit, day_ms));
}

TEST(Limits, ABucketRefillsEvenly) {
  Limits limits;
  const Limit limit{.requests_per_minute = 2};
  EXPECT_FALSE(limits.take("a", limit, 0));
  EXPECT_FALSE(limits.take("a", limit, 0));
  const auto over = limits.take("a", limit, 0);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->reason, "rate");
  EXPECT_EQ(over->retry_after_s, 30);
  EXPECT_FALSE(limits.take("b", limit, 0));
  EXPECT_FALSE(limits.take("a", limit, 30'000));
  EXPECT_TRUE(limits.take("a", limit, 30'000));
}

TEST(Limits, ABudgetHoldsForOneDay) {
  Limits limits;
  const Limit limit{.budget_usd_per_day = 1};
  EXPECT_FALSE(limits.take("a", limit, 1000));
  limits.spent("a", 1.5, 1000);
  const auto over = limits.take("a", limit, 2000);
  ASSERT_TRUE(over);
  EXPECT_EQ(over->reason, "budget");
  EXPECT_FALSE(limits.take("b", limit, 2000));
  EXPECT_FALSE(limits.take("a", limit, 24LL * 3600 * 1000));
}

}  // namespace
}  // namespace payonce::route
