#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fstream>
#include <numeric>

#include "record/ledger.h"
#include "record/trace.h"

namespace payonce::record {
namespace {

// A directory of its own, removed with its few files.
struct Directory {
  Directory() {
    char name[] = "ledger-XXXXXX";
    const char* base = getenv("TMPDIR");
    path = std::string(base != nullptr ? base : "/tmp") + "/" + name;
    if (mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp");
  }
  ~Directory() {
    for (const char* file : {"/ledger.db", "/ledger.db-wal", "/ledger.db-shm"}) (void)unlink((path + file).c_str());
    (void)rmdir(path.c_str());
  }
  std::string path;
};

TEST(Ledger, SumsSurviveARestart) {
  const Directory directory;
  base::FakeClock clock(1'790'000'000'000);
  base::Metrics metrics;
  for (int run = 0; run < 2; ++run) {
    Ledger ledger(directory.path, clock, metrics);
    ledger.add_hit("u-1", "m", "exact", {.fresh = 10, .output = 2}, 0.5);
    ledger.add_spend("u-1", "m", {.fresh = 10, .output = 2}, 0.5);
    ledger.add_hit("u-2", "m", "exact", {.fresh = 1}, 0.1);
  }
  Ledger ledger(directory.path, clock, metrics);
  const auto rows = ledger.rows(1, "u-1");
  ASSERT_EQ(rows.size(), 2u);
  for (const LedgerRow& row : rows) {
    EXPECT_EQ(row.day, "2026-09-21");
    EXPECT_EQ(row.requests, 2);
    EXPECT_EQ(row.input_tokens, 20);
    EXPECT_DOUBLE_EQ(row.usd, 1.0);
  }
  EXPECT_EQ(ledger.rows(1).size(), 3u);
  clock.advance_ms(24LL * 3600 * 1000);
  EXPECT_TRUE(ledger.rows(1).empty());
  EXPECT_EQ(ledger.rows(2).size(), 3u);
}

int64_t requests_of(const std::vector<LedgerRow>& rows) {
  return std::accumulate(rows.begin(), rows.end(), int64_t{0},
                         [](int64_t sum, const LedgerRow& row) { return sum + row.requests; });
}

TEST(Ledger, EverNewNamesDoNotFillTheDisk) {
  const Directory directory;
  base::FakeClock clock(1'790'000'000'000);
  base::Metrics metrics;
  constexpr int kRows = 1'000, kNames = kRows + 10;
  const auto name = [](int number) { return "model-" + std::to_string(number); };
  {
    Ledger ledger(directory.path, clock, metrics, {}, kRows);
    ledger.add_spend("u-1", "m", {.fresh = 1}, 0);
    for (int i = 0; i < kNames; ++i) ledger.add_spend("u-2", name(i), {.fresh = 1}, 0);
  }
  Ledger ledger(directory.path, clock, metrics, {}, kRows);
  (void)ledger.rows(1);  // it is open now, and knows the day's rows
  ledger.add_hit("u-3", "m", "exact", {.fresh = 1}, 0);
  ledger.add_spend("u-1", "m", {.fresh = 1}, 0);
  ledger.add_spend("u-2", name(0), {.fresh = 1}, 0);
  const auto rows = ledger.rows(1);
  EXPECT_EQ(rows.size(), kRows + 2u) << "the others have a row for each layer";
  EXPECT_EQ(requests_of(rows), kNames + 4) << "nothing is lost";
  EXPECT_EQ(requests_of(ledger.rows(1, "u-1")), 2) << "who was there before goes on";
  EXPECT_EQ(requests_of(ledger.rows(1, "(others)")), 12);
  clock.advance_ms(24LL * 3600 * 1000);
  ledger.add_hit("u-3", "m", "exact", {.fresh = 1}, 0);
  EXPECT_EQ(requests_of(ledger.rows(1, "u-3")), 1) << "a day begins anew";
}

TEST(Ledger, ADatabaseThatIsNoneIsNoReasonToStop) {
  const Directory directory;
  {
    std::ofstream file(directory.path + "/ledger.db");
    file << std::string(4096, 'x');
  }
  base::FakeClock clock;
  base::Metrics metrics;
  Ledger ledger(directory.path, clock, metrics);
  ledger.add_hit("u-1", "m", "exact", {}, 0);
  EXPECT_TRUE(ledger.rows(1).empty());
  EXPECT_EQ(metrics.counter("payonce_layer_faults_total", {{"layer", "ledger"}}).value(), 1);
}

TEST(Trace, ContinuesTheCallersTrace) {
  const TraceContext context = continue_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  EXPECT_EQ(context.trace_id, "4bf92f3577b34da6a3ce929d0e0e4736");
  EXPECT_EQ(context.parent_id, "00f067aa0ba902b7");
  EXPECT_TRUE(context.sampled);
  EXPECT_NE(context.span_id, context.parent_id);
  EXPECT_EQ(context.header(), "00-4bf92f3577b34da6a3ce929d0e0e4736-" + context.span_id + "-01");
  EXPECT_FALSE(continue_trace("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").sampled);
}

TEST(Trace, BeginsOneWhereTheHeaderIsNone) {
  for (const char* bad : {"", "x", "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
                          "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
                          "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x"}) {
    const TraceContext context = continue_trace(bad);
    EXPECT_EQ(context.trace_id.size(), 32u) << bad;
    EXPECT_TRUE(context.parent_id.empty()) << bad;
  }
}

TEST(Trace, TheExportHasOtlpShape) {
  Span span{.context = continue_trace(""),
            .start_unix_us = 5,
            .duration_us = 7,
            .operation = "chat",
            .model = "m",
            .cache = "hit",
            .scope = "u-1",
            .status = 200,
            .usage = {.fresh = 3, .output = 1, .known = true}};
  const auto value = boost::json::parse(otlp_json(&span, 1, "payonce"));
  const auto& made = value.at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans").at(0);
  EXPECT_EQ(made.at("traceId").as_string().size(), 32u);
  EXPECT_EQ(made.at("startTimeUnixNano"), "5000");
  EXPECT_EQ(made.at("endTimeUnixNano"), "12000");
  EXPECT_EQ(made.at("name"), "chat m");
}

}  // namespace
}  // namespace payonce::record
