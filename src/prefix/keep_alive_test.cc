#include "prefix/keep_alive.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>
#include <vector>

namespace payonce::prefix {
namespace {

constexpr int64_t kStart_ms = 1'790'000'000'000 / 86'400'000 * 86'400'000 + 3'600'000;  // 01:00 UTC
constexpr int64_t kTtl_ms = 300'000;
constexpr int64_t kDue_ms = kTtl_ms - 15'000;
constexpr double kBudget_usd = 1;

struct KeepAliveTest : testing::Test {
  KeepAlive::Request request(uint64_t session, uint32_t pings = 1, double worst_usd = 0.1) {
    return {.session = {session, session},
            .started_ms = now_ms,
            .ttl_ms = kTtl_ms,
            .pings = pings,
            .worst_usd = worst_usd,
            .bytes = 1000,
            .send = [this](uint64_t ping) { sent.push_back(ping); }};
  }
  // Sends what is due; how many.
  size_t tick(int64_t later_ms, double budget_usd = kBudget_usd) {
    now_ms += later_ms;
    const auto pings = keeper.due(now_ms, budget_usd);
    for (const auto& send : pings) send();
    return pings.size();
  }
  KeepAlive::Stats stats() { return keeper.stats(now_ms); }

  int64_t now_ms = kStart_ms;
  std::vector<uint64_t> sent;
  KeepAlive keeper{{.max_sessions = 4, .max_bytes = 5000, .max_in_flight = 2}};
};

TEST_F(KeepAliveTest, PingsJustBeforeTheTtlEndsAndAgainAsOftenAsItIsWorth) {
  keeper.hold(request(1, 2));
  EXPECT_EQ(tick(kDue_ms - 1), 0u);
  EXPECT_EQ(tick(1), 1u);
  EXPECT_EQ(tick(1000), 0u);  // on its way
  keeper.answered(sent.back(), 0.01, true, now_ms);
  EXPECT_EQ(tick(kDue_ms - 1001), 0u);  // the TTL began anew when the ping was sent
  EXPECT_EQ(tick(1), 1u);
  keeper.answered(sent.back(), 0.01, true, now_ms);
  EXPECT_EQ(stats().held, 0u);
  EXPECT_EQ(stats().pings, 2u);
  EXPECT_DOUBLE_EQ(stats().usd, 0.02);
}

TEST_F(KeepAliveTest, ALaterRequestOfTheSessionMakesTheEarlierVoid) {
  keeper.hold(request(1));
  keeper.hold(request(2));
  keeper.came({1, 1});
  EXPECT_EQ(tick(kDue_ms), 1u);
  now_ms = kStart_ms;
  keeper.hold(request(3, 2));
  now_ms += 100'000;
  keeper.hold(request(3, 2));
  EXPECT_EQ(tick(kDue_ms - 100'000), 0u);
  EXPECT_EQ(tick(100'000), 1u);
  keeper.came({3, 3});  // while the ping is on its way
  keeper.answered(sent.back(), 0.01, true, now_ms);
  EXPECT_EQ(tick(kDue_ms), 0u);
}

TEST_F(KeepAliveTest, AnAnswerThatCameLateDoesNotReplaceThatOfALaterRequest) {
  KeepAlive::Request early = request(1);
  now_ms += 60'000;
  keeper.hold(request(1));
  keeper.hold(std::move(early));
  EXPECT_EQ(tick(kDue_ms - 60'000), 0u);
  EXPECT_EQ(tick(60'000), 1u);
}

TEST_F(KeepAliveTest, NothingIsSentWithoutABudgetOrOnceItIsUsedUp) {
  keeper.hold(request(1));
  EXPECT_EQ(tick(kDue_ms, 0), 0u);
  EXPECT_EQ(stats().held, 0u);
  keeper.hold(request(1));
  keeper.hold(request(2));
  EXPECT_EQ(tick(kDue_ms, 0.15), 1u);  // both at their worst would not fit
  keeper.answered(sent.back(), 0.1, true, now_ms);
  keeper.hold(request(3));
  EXPECT_EQ(tick(kDue_ms, 0.15), 0u);
}

TEST_F(KeepAliveTest, TheBudgetStartsAnewWithTheDay) {
  keeper.spent_before(kBudget_usd, now_ms);
  keeper.hold(request(1));
  EXPECT_EQ(tick(kDue_ms), 0u);
  now_ms = kStart_ms / 86'400'000 * 86'400'000 + 86'400'000;
  EXPECT_EQ(stats().usd, 0);
  keeper.hold(request(1));
  EXPECT_EQ(tick(kDue_ms), 1u);
}

TEST_F(KeepAliveTest, AFailedPingIsTheSessionsLast) {
  keeper.hold(request(1, 5));
  EXPECT_EQ(tick(kDue_ms), 1u);
  keeper.failed(sent.back(), false, now_ms);
  EXPECT_EQ(stats().held, 0u);
  EXPECT_EQ(stats().usd, 0);
  keeper.hold(request(1, 5));
  EXPECT_EQ(tick(kDue_ms), 1u);
  keeper.failed(sent.back(), true, now_ms);  // nobody knows what it cost
  EXPECT_DOUBLE_EQ(stats().usd, 0.1);
  EXPECT_EQ(stats().failed, 2u);
  keeper.failed(sent.back(), true, now_ms);  // told twice: counted once
  EXPECT_DOUBLE_EQ(stats().usd, 0.1);
}

TEST_F(KeepAliveTest, AWithdrawnPingCostsNothing) {
  keeper.hold(request(1, 5));
  EXPECT_EQ(tick(kDue_ms, 0.1), 1u);
  keeper.withdraw(sent.back());
  EXPECT_EQ(stats().pings, 0u);
  EXPECT_EQ(stats().held, 0u);
  keeper.hold(request(1));
  EXPECT_EQ(tick(kDue_ms, 0.1), 1u);
}

TEST_F(KeepAliveTest, APrefixThatIsGoneIsNotPingedAgain) {
  keeper.hold(request(1, 5));
  EXPECT_EQ(tick(kDue_ms), 1u);
  keeper.answered(sent.back(), 0.1, false, now_ms);
  EXPECT_EQ(stats().held, 0u);
  EXPECT_EQ(stats().late, 1u);
  keeper.hold(request(2));
  EXPECT_EQ(tick(kTtl_ms), 0u);  // nobody looked in time
  EXPECT_EQ(stats().held, 0u);
}

TEST_F(KeepAliveTest, HoldsNoMoreThanItsLimits) {
  for (uint64_t session = 1; session <= 5; ++session) keeper.hold(request(session));
  EXPECT_EQ(stats().held, 4u);
  KeepAlive::Request large = request(6);
  large.bytes = 3000;
  keeper.hold(std::move(large));
  EXPECT_EQ(stats().held, 3u);
  EXPECT_EQ(stats().bytes, 5000u);
  KeepAlive::Request too_large = request(7);
  too_large.bytes = 5001;
  keeper.hold(std::move(too_large));
  EXPECT_EQ(stats().held, 3u);
  EXPECT_EQ(tick(kDue_ms), 2u);  // so many at once
  keeper.answered(sent.back(), 0.01, true, now_ms);
  EXPECT_EQ(tick(1000), 1u);
  keeper.forget_all();
  EXPECT_EQ(stats().held, 0u);
  EXPECT_EQ(stats().bytes, 0u);
}

TEST_F(KeepAliveTest, WhatSendsDiesWithWhatIsForgotten) {
  auto secret = std::make_shared<int>(1);
  KeepAlive::Request with = request(1);
  with.send = [secret](uint64_t) {};
  keeper.hold(std::move(with));
  EXPECT_EQ(secret.use_count(), 2);
  keeper.came({1, 1});
  EXPECT_EQ(secret.use_count(), 1);
}

}  // namespace
}  // namespace payonce::prefix
