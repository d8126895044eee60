#include "cache/exact/flight.h"

#include <gtest/gtest.h>

#include <thread>

namespace payonce::cache {
namespace {

std::string text(const Flight::Progress& progress) {
  std::string out;
  for (const base::Bytes& chunk : progress.chunks) out += chunk.view();
  return out;
}

TEST(Flight, AFollowerReadsFromTheStart) {
  Flight flight({});
  const auto first = flight.join([] {}).value();
  flight.head({.status = 200});
  flight.append(base::Bytes::copy("ab"), 0);
  EXPECT_EQ(text(flight.take(first)), "ab");
  const auto second = flight.join([] {}).value();
  flight.append(base::Bytes::copy("cd"), 5);
  flight.finish();
  const auto all = flight.take(second);
  EXPECT_EQ(text(all), "abcd");
  EXPECT_EQ(all.state, Flight::State::kDone);
  EXPECT_EQ(text(flight.take(first)), "cd");
  const auto recording = flight.recording();
  EXPECT_EQ(recording.body, "abcd");
  EXPECT_EQ(recording.pace_ms, (std::vector<uint32_t>{0, 5}));
  EXPECT_EQ(recording.pace_offset, (std::vector<uint32_t>{0, 2}));
}

TEST(Flight, ReadersAreToldOfPartsByWake) {
  Flight flight({});
  int woken = 0;
  (void)flight.join([&] { ++woken; });
  flight.append(base::Bytes::copy("ab"), 0);
  EXPECT_EQ(woken, 0);
  flight.wake();
  EXPECT_EQ(woken, 1);
}

TEST(Flight, OnlyTheLastReaderLeavingAnUnfinishedAnswerAbandonsIt) {
  Flight flight({});
  const auto first = flight.join([] {}).value();
  const auto second = flight.join([] {}).value();
  int abandoned = 0;
  flight.on_abandoned([&] { ++abandoned; });
  flight.leave(first);
  EXPECT_EQ(abandoned, 0);
  flight.leave(second);
  EXPECT_EQ(abandoned, 1);
  EXPECT_FALSE(flight.join([] {}));
  Flight whole({});
  const auto reader = whole.join([] {}).value();
  whole.on_abandoned([&] { ++abandoned; });
  whole.finish();
  whole.leave(reader);
  EXPECT_EQ(abandoned, 1);
}

TEST(Flight, BeyondTheLimitNothingIsKeptAndNobodyCanJoin) {
  Flight flight({.keep_limit_bytes = 3});
  const auto reader = flight.join([] {}).value();
  flight.mark_stored(true);
  flight.append(base::Bytes::copy("abcd"), 0);
  EXPECT_FALSE(flight.recordable());
  EXPECT_FALSE(flight.take(reader).stored);
  EXPECT_FALSE(flight.join([] {}));
  flight.append(base::Bytes::copy("e"), 0);
  EXPECT_EQ(text(flight.take(reader)), "e");
}

TEST(Flight, TheWriterPausesForTheSlowestAndGoesOn) {
  Flight flight({.keep = false, .lag_limit_bytes = 4});
  const auto slow = flight.join([] {}).value();
  const auto fast = flight.join([] {}).value();
  flight.append(base::Bytes::copy("abcdef"), 0);
  (void)flight.take(fast);
  EXPECT_TRUE(flight.writer_should_pause());
  int resumed = 0;
  flight.on_writer_resume([&] { ++resumed; });
  EXPECT_EQ(resumed, 0);
  (void)flight.take(slow);
  EXPECT_EQ(resumed, 1);
}

TEST(Flight, WhileAllIsKeptASlowReaderHoldsNobodyUp) {
  Flight flight({.keep_limit_bytes = 100, .lag_limit_bytes = 4});
  const auto slow = flight.join([] {}).value();
  const auto fast = flight.join([] {}).value();
  flight.append(base::Bytes::copy("abcdef"), 0);
  EXPECT_TRUE(flight.writer_should_pause());
  (void)flight.take(fast);
  EXPECT_FALSE(flight.writer_should_pause());
  EXPECT_EQ(text(flight.take(slow)), "abcdef");
}

TEST(Flight, ASlowReaderThatLeavesLetsTheWriterGoOn) {
  Flight flight({.keep = false, .lag_limit_bytes = 4});
  const auto slow = flight.join([] {}).value();
  const auto fast = flight.join([] {}).value();
  flight.append(base::Bytes::copy("abcdef"), 0);
  (void)flight.take(fast);
  int resumed = 0;
  flight.on_writer_resume([&] { ++resumed; });
  flight.leave(slow);
  EXPECT_EQ(resumed, 1);
}

TEST(Flight, AFailureReachesEveryReader) {
  Flight flight({});
  int woken = 0;
  const auto reader = flight.join([&] { ++woken; }).value();
  flight.fail({base::Code::kTimeout, "slow"});
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(flight.take(reader).error.message, "slow");
  EXPECT_FALSE(flight.join([] {}));
}

TEST(FlightTable, OneLeaderUntilRemoved) {
  FlightTable table;
  const auto first = table.join_or_lead("k", {}, [] {});
  const auto second = table.join_or_lead("k", {}, [] {});
  EXPECT_TRUE(first.leader);
  EXPECT_FALSE(second.leader);
  EXPECT_EQ(first.flight, second.flight);
  EXPECT_TRUE(table.join_or_lead("other", {}, [] {}).leader);
  table.remove("k", nullptr);  // not that flight: stays
  EXPECT_FALSE(table.join_or_lead("k", {}, [] {}).leader);
  table.remove("k", first.flight.get());
  EXPECT_TRUE(table.join_or_lead("k", {}, [] {}).leader);
}

TEST(FlightTable, AFailedFlightIsReplaced) {
  FlightTable table;
  const auto first = table.join_or_lead("k", {}, [] {});
  first.flight->fail({});
  EXPECT_TRUE(table.join_or_lead("k", {}, [] {}).leader);
}

TEST(Flight, ManyThreadsReadOneWriter) {
  Flight flight({});
  std::vector<std::thread> threads;
  std::vector<std::string> got(4);
  for (std::string& out : got) {
    const auto reader = flight.join([] {}).value();
    threads.emplace_back([&flight, &out, reader] {
      while (true) {
        const auto progress = flight.take(reader);
        out += text(progress);
        if (progress.state == Flight::State::kDone) return;
        std::this_thread::yield();
      }
    });
  }
  std::string sent;
  for (int i = 0; i < 1000; ++i) {
    sent += std::to_string(i);
    flight.append(base::Bytes::copy(std::to_string(i)), 0);
  }
  flight.finish();
  for (std::thread& thread : threads) thread.join();
  for (const std::string& out : got) EXPECT_EQ(out, sent);
}

}  // namespace
}  // namespace payonce::cache
