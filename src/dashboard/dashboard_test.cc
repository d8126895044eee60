// The ring of recent requests, the last hour, and the stream of events.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "dashboard/assets.h"
#include "dashboard/event_feed.h"
#include "dashboard/recent_requests.h"

namespace payonce::dashboard {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int64_t kStart_ms = 1'790'000'000'000;
const Viewer kAdmin{.all = true, .scope = ""};

Facts hit(double usd = 0.5) {
  return {.id = 7,
          .at_ms = kStart_ms,
          .status = 200,
          .outcome = "hit",
          .layer = "exact",
          .own_us = 40,
          .input_tokens = 10,
          .output_tokens = 5,
          .usd = usd};
}
Facts miss() { return {.at_ms = kStart_ms, .status = 200, .outcome = "miss", .reason = "cold", .usd = 0.25}; }

TEST(RecentRequests, KeepTheNewest) {
  RecentRequests recent(kStart_ms);
  EXPECT_TRUE(recent.after(0, 10, kAdmin).empty());
  for (size_t i = 0; i < RecentRequests::kKept + 10; ++i)
    recent.add({.scope = "u-1", .model = fmt::format("m{}", i)}, hit());
  const auto all = recent.after(0, RecentRequests::kKept * 2, kAdmin);
  ASSERT_EQ(all.size(), RecentRequests::kKept);
  EXPECT_EQ(all.front().model, "m10");
  EXPECT_EQ(all.back().model, fmt::format("m{}", RecentRequests::kKept + 9));
  EXPECT_EQ(all.back().sequence, recent.latest());
  const auto newest = recent.after(0, 3, kAdmin);
  ASSERT_EQ(newest.size(), 3u);
  EXPECT_EQ(newest.front().sequence, recent.latest() - 2);
}

TEST(RecentRequests, ResumeWhereAReaderStood) {
  RecentRequests recent(kStart_ms);
  recent.add({.scope = "u-1", .model = "a"}, hit());
  const uint64_t seen = recent.latest();
  EXPECT_TRUE(recent.after(seen, 10, kAdmin).empty());
  recent.add({.scope = "u-1", .model = "b"}, miss());
  const auto next = recent.after(seen, 10, kAdmin);
  ASSERT_EQ(next.size(), 1u);
  EXPECT_EQ(next[0].model, "b");
  EXPECT_EQ(recent.after(seen + 1000, 10, kAdmin).size(), 2u);  // never given out
  // A later run begins above: a reader of the earlier one misses nothing.
  RecentRequests later(kStart_ms + 5);
  later.add({.scope = "u-1", .model = "c"}, hit());
  EXPECT_EQ(later.after(recent.latest(), 10, kAdmin).size(), 1u);
}

TEST(RecentRequests, ShowACallerItsOwnAlone) {
  RecentRequests recent(kStart_ms);
  recent.add({.scope = "u-1", .model = "a"}, hit());
  recent.add({.scope = "u-2", .model = "b"}, hit());
  recent.add({.scope = "", .model = "c"}, miss());  // whose is not known
  const auto own = recent.after(0, 10, {.all = false, .scope = "u-2"});
  ASSERT_EQ(own.size(), 1u);
  EXPECT_EQ(own[0].model, "b");
  EXPECT_TRUE(recent.after(0, 10, {.all = false, .scope = "u-3"}).empty());
  EXPECT_EQ(recent.after(0, 10, kAdmin).size(), 3u);
}

TEST(RecentRequests, CutLongNamesBetweenCharacters) {
  RecentRequests recent(kStart_ms);
  std::string name;
  for (int i = 0; i < 1000; ++i) name += "é";
  recent.add({.scope = "u-1", .model = "x" + name}, hit());
  const std::string kept = recent.after(0, 1, kAdmin)[0].model;
  EXPECT_LE(kept.size(), 160u);
  EXPECT_EQ(kept, ("x" + name).substr(0, kept.size()));
  EXPECT_EQ(kept.size() % 2, 1u);
}

TEST(RecentRequests, WritersAndReadersMeetUnharmed) {
  RecentRequests recent(kStart_ms);
  constexpr int kEach = 20'000;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < kEach; ++i) recent.add({.scope = "u-1", .model = "model"}, hit());
    });
  const uint64_t last = static_cast<uint64_t>(kStart_ms) * 1000 + 2 * kEach;
  uint64_t seen = 0;
  while (seen < last)
    for (const RecentRequest& one : recent.after(seen, 100, kAdmin)) {
      EXPECT_GT(one.sequence, seen);
      seen = one.sequence;
    }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, last);
  EXPECT_EQ(recent.latest(), last);
}

TEST(LastHour, SumsMinutesAndForgets) {
  LastHour hour;
  hour.add(kStart_ms, {.hit = true, .usd = 0.5, .tokens = 15});
  hour.add(kStart_ms, {.hit = false, .failed = true, .usd = 0.25, .tokens = 9});
  const LastHour::Minute now = hour.minute_of(kStart_ms);
  EXPECT_EQ(now.requests, 2u);
  EXPECT_EQ(now.hits, 1u);
  EXPECT_EQ(now.failed, 1u);
  EXPECT_EQ(now.saved_usd, 0.5);
  EXPECT_EQ(now.spent_usd, 0.25);
  EXPECT_EQ(now.saved_tokens, 15);
  EXPECT_EQ(hour.minutes(kStart_ms).size(), LastHour::kMinutes);
  EXPECT_EQ(hour.minutes(kStart_ms).back().requests, 2u);
  EXPECT_EQ(hour.minutes(kStart_ms + 59 * 60'000).front().requests, 2u);
  for (const auto& minute : hour.minutes(kStart_ms + 60 * 60'000)) EXPECT_EQ(minute.requests, 0u);
  EXPECT_EQ(hour.own_us_quantile(kStart_ms + 60 * 60'000, 0.5), -1);
}

TEST(LastHour, QuantilesAreWithinAnEighth) {
  for (const int64_t us : {0LL, 1LL, 3LL, 4LL, 7LL, 40LL, 99LL, 1000LL, 123'456LL, 50'000'000LL}) {
    LastHour hour;
    for (int i = 0; i < 10; ++i) hour.add(kStart_ms, {.own_us = us});
    const auto found = static_cast<double>(hour.own_us_quantile(kStart_ms, 0.5));
    EXPECT_NEAR(found, static_cast<double>(us), static_cast<double>(us) / 8) << us;
  }
  LastHour hour;
  for (int64_t us = 1; us <= 1000; ++us) hour.add(kStart_ms, {.own_us = us});
  EXPECT_NEAR(static_cast<double>(hour.own_us_quantile(kStart_ms, 0.5)), 500, 63);
  EXPECT_NEAR(static_cast<double>(hour.own_us_quantile(kStart_ms, 0.95)), 950, 119);
}

// An exchange that keeps what is written.
class FakeExchange final : public net::Exchange {
 public:
  FakeExchange(net::EventLoop& loop, net::RequestHead head) : loop_(loop) { head_ = std::move(head); }
  net::EventLoop& loop() override { return loop_; }
  std::string remote_address() const override { return "127.0.0.1"; }
  void respond(net::ResponseHead head, base::Bytes body) override {
    answer = std::move(head);
    written = body.view();
  }
  void start(net::ResponseHead head, std::optional<uint64_t>) override { answer = std::move(head); }
  void write(base::Bytes chunk) override { written += chunk.view(); }
  void finish() override { finished = true; }
  void abort() override { aborted = true; }
  size_t unsent_bytes() const override { return unsent; }
  bool is_behind() const override { return false; }

  net::ResponseHead answer;
  std::string written;
  bool finished = false, aborted = false;
  size_t unsent = 0;

 private:
  net::EventLoop& loop_;
};

struct Feed : testing::Test {
  std::shared_ptr<FakeExchange> open(Viewer viewer, uint64_t last_seen = 0) {
    auto made = std::make_shared<FakeExchange>(loop, net::RequestHead{});
    opened = feed.open(made, std::move(viewer), last_seen);
    return made;
  }
  void run_for(int ms) { loop.context().run_for(std::chrono::milliseconds(ms)); }

  net::EventLoop loop;
  base::FakeClock clock{kStart_ms};
  RecentRequests recent{kStart_ms};
  EventFeed feed{recent, clock, {.max_subscribers = 2, .tick_ms = 1}};
  bool opened = false;
};

TEST_F(Feed, ANewPageGetsThePastThenWhatComes) {
  recent.add({.scope = "u-1", .model = "before"}, hit());
  const auto page = open(kAdmin);
  ASSERT_TRUE(opened);
  EXPECT_EQ(page->answer.headers.get("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_THAT(page->written, HasSubstr(fmt::format("id: {}\nevent: request\ndata: {{", recent.latest())));
  EXPECT_THAT(page->written, HasSubstr(R"("model":"before")"));
  EXPECT_THAT(page->written, HasSubstr("event: minute\n"));
  page->written.clear();
  recent.add({.scope = "u-1", .model = "later"}, miss());
  run_for(20);
  EXPECT_THAT(page->written, HasSubstr(R"("model":"later")"));
  EXPECT_THAT(page->written, HasSubstr(R"("reason":"cold")"));
  EXPECT_THAT(page->written, Not(HasSubstr("before")));
  EXPECT_THAT(page->written, Not(HasSubstr("event: minute")));  // not twice a second
  clock.advance_ms(1000);
  run_for(20);
  EXPECT_THAT(page->written, HasSubstr("event: minute"));
}

TEST_F(Feed, LastEventIdResumes) {
  recent.add({.scope = "u-1", .model = "seen"}, hit());
  const uint64_t seen = recent.latest();
  recent.add({.scope = "u-1", .model = "missed"}, hit());
  const auto page = open(kAdmin, seen);
  EXPECT_THAT(page->written, HasSubstr("missed"));
  EXPECT_THAT(page->written, Not(HasSubstr(R"("seen")")));
  const auto confused = open(kAdmin, seen + 1'000'000);
  run_for(20);
  const size_t first = confused->written.find("missed");
  ASSERT_NE(first, std::string::npos);
  EXPECT_EQ(confused->written.find("missed", first + 1), std::string::npos);  // once
}

TEST_F(Feed, ACallerHearsOfItsOwnAlone) {
  recent.add({.scope = "u-2", .model = "foreign"}, hit());
  const auto page = open({.all = false, .scope = "u-1"});
  recent.add({.scope = "u-2", .model = "foreign"}, hit());
  recent.add({.scope = "u-1", .model = "own"}, hit());
  clock.advance_ms(2000);
  run_for(20);
  EXPECT_THAT(page->written, HasSubstr("own"));
  EXPECT_THAT(page->written, Not(HasSubstr("foreign")));
  EXPECT_THAT(page->written, Not(HasSubstr("minute")));
}

TEST_F(Feed, OneThatDoesNotReadIsCut) {
  const auto page = open(kAdmin);
  page->unsent = EventFeed::Options().max_unsent_bytes + 1;
  run_for(20);
  EXPECT_TRUE(page->aborted);
  EXPECT_EQ(feed.subscribers(), 0u);
}

TEST_F(Feed, SubscribersAreBoundedAndLeave) {
  const auto first = open(kAdmin), second = open(kAdmin);
  EXPECT_TRUE(opened);
  const auto third = open(kAdmin);
  EXPECT_FALSE(opened);
  EXPECT_TRUE(third->written.empty());
  first->on_closed();
  run_for(20);
  EXPECT_EQ(feed.subscribers(), 1u);
  (void)open(kAdmin);
  EXPECT_TRUE(opened);
}

TEST_F(Feed, AQuietStreamSaysThatItIsThere) {
  const auto page = open({.all = false, .scope = "u-1"});
  page->written.clear();
  run_for(10);
  EXPECT_EQ(page->written, "");
  clock.advance_ms(EventFeed::Options().heartbeat_ms);
  run_for(20);
  EXPECT_EQ(page->written, ": still here\n\n");
}

TEST_F(Feed, StopEndsEveryStream) {
  const auto page = open(kAdmin);
  feed.stop();
  run_for(20);
  EXPECT_TRUE(page->finished);
  (void)open(kAdmin);
  EXPECT_FALSE(opened);
}

TEST(Assets, HaveTypesTagsAndAPolicy) {
  net::EventLoop loop;
  const auto get = [&](std::string_view path, std::string_view tag = "") {
    net::RequestHead head{.method = "GET", .target = std::string(path)};
    if (!tag.empty()) head.headers.add("If-None-Match", tag);
    auto exchange = std::make_shared<FakeExchange>(loop, std::move(head));
    serve_asset(*exchange, path);
    return exchange;
  };
  const auto page = get("/");
  EXPECT_EQ(page->answer.headers.get("content-type"), "text/html; charset=utf-8");
  EXPECT_THAT(std::string(*page->answer.headers.get("content-security-policy")), HasSubstr("default-src 'none'"));
  EXPECT_EQ(page->answer.headers.get("x-content-type-options"), "nosniff");
  const std::string tag(*page->answer.headers.get("etag"));
  EXPECT_TRUE(tag.starts_with('"') && tag.ends_with('"'));
  EXPECT_EQ(get("/", "\"other\", " + tag)->answer.status, 304);
  EXPECT_EQ(get("/", "\"other\"")->answer.status, 200);
  EXPECT_EQ(get("/dashboard/tokens.css")->answer.headers.get("content-type"), "text/css; charset=utf-8");
  for (const char* path :
       {"/dashboard/", "/dashboard/nothing.js", "/dashboard/../admin.cc", "/dashboard/web/main.js"})
    EXPECT_EQ(get(path)->answer.status, 404) << path;
}

}  // namespace
}  // namespace payonce::dashboard
