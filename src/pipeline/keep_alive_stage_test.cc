#include "pipeline/keep_alive_stage.h"

#include <gtest/gtest.h>

#include <vector>

#include "pipeline/keep_alive_fixture.h"

namespace payonce::pipeline {
namespace {

constexpr int64_t kDue_ms = 285'000;
constexpr double kRead_usd = 0.3e-6 * fixture::kPrefix_tokens;  // claude-sonnet-4-6

struct KeepAliveStageTest : fixture::KeepAliveFixture {
  KeepAliveStageTest() { stage.recall_today(); }

  Forward ask(int session, int turns = 1) {
    body = base::Bytes(body_of(session, turns));
    Forward forward = begin(body);
    stage.came(forward, body);
    return forward;
  }
  void answer(const Forward& forward, std::string text = answer_of(0, fixture::kPrefix_tokens)) {
    stage.answered(forward, body, end(forward, std::move(text)), 100, [this](PingPtr ping) {
      return [this, ping](uint64_t number) { sent.emplace_back(number, ping); };
    });
  }
  size_t tick(int64_t later_ms = 0) {
    clock.advance_ms(later_ms);
    sent.clear();
    for (const auto& ping : stage.due(*pipeline->policy())) ping();
    return sent.size();
  }
  void done(std::string_view text, int status = 200) {
    stage.done(sent.back().first, *sent.back().second, status, text);
  }
  double ledgers_usd() {
    double usd = 0;
    for (const record::LedgerRow& row : ledger.rows(400))
      if (row.layer == "keep_alive") usd += row.usd;
    return usd;
  }

  base::Bytes body;
  std::vector<std::pair<uint64_t, PingPtr>> sent;
};

TEST_F(KeepAliveStageTest, APrefixThatWillBeUsedTooLateIsReadBeforeItDies) {
  learn();
  (void)tick();
  const Forward forward = ask(1);
  clock.advance_ms(20'000);  // the answer takes its time; the TTL runs already
  answer(forward);
  EXPECT_EQ(stage.stats().held, 1u);
  EXPECT_EQ(tick(kDue_ms - 20'001), 0u);
  ASSERT_EQ(tick(1), 1u);
  const std::string_view ping = sent[0].second->body.view();
  EXPECT_NE(ping.find(R"("max_tokens":0)"), std::string_view::npos) << ping;
  EXPECT_NE(ping.find(R"("cache_control")"), std::string_view::npos) << ping;
  done(answer_of(fixture::kPrefix_tokens, 0, "max_tokens"));
  EXPECT_NEAR(stage.stats().usd, kRead_usd + 10 * 3e-6 + 15e-6, 1e-9);
  EXPECT_NEAR(ledgers_usd(), stage.stats().usd, 1e-9);
  EXPECT_EQ(metrics.counter("payonce_keep_alive_pings_total", {{"outcome", "read"}}).value(), 1);
  EXPECT_EQ(stage.stats().pings, 1u);
}

TEST_F(KeepAliveStageTest, TheNextRequestOfTheSessionMakesItNeedless) {
  learn();
  (void)tick();
  marks_question = true;
  answer(ask(1));
  answer(ask(2));
  EXPECT_EQ(stage.stats().held, 2u);
  clock.advance_ms(200'000);
  const Forward next = ask(1, 2);  // begins, and is not answered yet
  EXPECT_EQ(stage.stats().held, 1u);
  EXPECT_EQ(tick(kDue_ms - 200'000), 1u);
  answer(next);
  EXPECT_EQ(stage.stats().held, 2u);
}

TEST_F(KeepAliveStageTest, SessionsThatShareAllThatIsMarkedShareItsPings) {
  learn();
  (void)tick();
  answer(ask(1));
  answer(ask(2));
  EXPECT_EQ(stage.stats().held, 1u);
  clock.advance_ms(200'000);
  const Forward other = ask(3);  // reads it, too
  EXPECT_EQ(stage.stats().held, 0u);
  answer(other);
  EXPECT_EQ(tick(kDue_ms - 1), 0u);
  EXPECT_EQ(tick(1), 1u);
}

TEST_F(KeepAliveStageTest, WithoutABudgetOrEnoughTrafficOrAWriteNothingIsHeld) {
  answer(ask(1));
  EXPECT_EQ(stage.stats().held, 0u);  // nothing learned yet
  learn();
  answer(ask(2), answer_of(0, 0));
  EXPECT_EQ(stage.stats().held, 0u);  // nothing to keep
  set_budget(0);
  answer(ask(3));
  EXPECT_EQ(stage.stats().held, 0u);
  set_budget(1);
  answer(ask(4));
  EXPECT_EQ(stage.stats().held, 1u);
  (void)tick();  // the first under this policy: what was held before is void
  EXPECT_EQ(stage.stats().held, 0u);
}

TEST_F(KeepAliveStageTest, ACallersBudgetCountsPingsAndStopsThem) {
  learn();
  set_budget(1, 1000);
  (void)tick();
  answer(ask(1));
  const std::string caller = ask(1, 2).prepared->caller;
  answer(ask(2));
  EXPECT_EQ(stage.stats().held, 1u);
  limits.spent(caller, 1000, clock.unix_ms());
  EXPECT_EQ(tick(kDue_ms), 0u);
  EXPECT_EQ(stage.stats().held, 0u);
  EXPECT_EQ(stage.stats().pings, 0u);
}

TEST_F(KeepAliveStageTest, APingThatFailsOrFindsNothingIsTheLast) {
  learn();
  (void)tick();
  int session = 0;
  for (const auto& [text, status] : {std::pair<std::string, int>{R"({"type":"error","error":{}})", 400},
                                     {"<html>", 502},
                                     {answer_of(0, fixture::kPrefix_tokens), 200}}) {
    answer(ask(++session));
    ASSERT_EQ(tick(kDue_ms), 1u);
    const double before_usd = stage.stats().usd;
    done(text, status);
    EXPECT_EQ(stage.stats().held, 0u) << text;
    EXPECT_EQ(stage.stats().usd > before_usd, status == 200) << text;
  }
  EXPECT_EQ(metrics.counter("payonce_keep_alive_pings_total", {{"outcome", "failed"}}).value(), 2);
  EXPECT_EQ(metrics.counter("payonce_keep_alive_pings_total", {{"outcome", "written"}}).value(), 1);
}

TEST_F(KeepAliveStageTest, WhatAnEarlierRunSpentTodayCounts) {
  ledger.add_spend("u-1", "m", {}, 0.75, "keep_alive");
  ledger.add_spend("u-1", "m", {}, 7);
  KeepAliveStage next({.clock = clock, .metrics = metrics, .ledger = ledger, .limits = limits, .prefix = prefix});
  next.recall_today();
  EXPECT_DOUBLE_EQ(next.stats().usd, 0.75);
}

}  // namespace
}  // namespace payonce::pipeline
