// From a request that went through Fetch to the ping that keeps its prefix alive: a real loop, a clock that is moved,
// an upstream that is a script.
#include "gateway/pinger.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <mutex>
#include <vector>

#include "net/local_service.h"
#include "net/server_test_client.h"
#include "pipeline/keep_alive_fixture.h"

namespace payonce::gateway {
namespace {

constexpr int64_t kDue_ms = 285'000;

std::string_view part(std::string_view text, std::string_view from, std::string_view to) {
  const size_t begin = text.find(from);
  return text.substr(begin, text.find(to, begin) - begin);
}

struct Sent {
  net::RequestHead head;
  std::string body;
  std::shared_ptr<net::ResponseSink> sink;
};

class ScriptedProvider final : public net::LocalService {
 public:
  std::shared_ptr<net::Call> send(net::RequestHead head, base::Bytes body, std::string, net::EventLoop&,
                                  std::shared_ptr<net::ResponseSink> sink) override {
    sent.push_back({std::move(head), std::string(body.view()), std::move(sink)});
    return std::make_shared<ScriptedCall>(cancels);
  }
  void answer(const std::string& body, int status = 200) {
    net::ResponseHead head{.status = status};
    head.headers.add("Content-Type", "application/json");
    const auto sink = std::exchange(sent.back().sink, nullptr);
    sink->on_head(std::move(head));
    sink->on_data(base::Bytes::copy(body));
    sink->on_end();
  }
  std::vector<Sent> sent;
  int cancels = 0;

 private:
  struct ScriptedCall final : net::Call {
    explicit ScriptedCall(int& of) : cancels(of) {}
    void cancel() override { ++cancels; }
    void pause() override {}
    void resume() override {}
    int& cancels;
  };
};

struct PingerTest : pipeline::fixture::KeepAliveFixture {
  PingerTest() {
    upstream = make_upstream(&service);
    set_budget(1);
    stage.recall_today();
    learn();
    on_loop([&] { pinger->tick(); });
  }
  // On the loop, and then what was posted.
  void on_loop(const std::function<void()>& what) {
    loop.post([&] {
      what();
      loop.post([&] { loop.post([&] { loop.stop(); }); });
    });
    loop.run();
    loop.context().restart();
  }
  void run_until(const std::function<bool()>& done) {
    boost::asio::steady_timer look(loop.context());
    const std::function<void()> again = [&] {
      if (done()) return loop.stop();
      look.expires_after(std::chrono::milliseconds(1));
      look.async_wait([&](boost::system::error_code) { again(); });
    };
    loop.post(again);
    loop.run();
    loop.context().restart();
  }
  void fetch(const std::string& text) {
    Fetch::Job job;
    job.body = base::Bytes::copy(text);
    job.forward = begin(job.body);
    job.head = {.method = "POST", .target = "/v1/messages?beta=true"};
    job.head.headers.add("x-api-key", "sk-1");
    job.head.headers.add("anthropic-version", "2023-06-01");
    job.head.headers.add("Idempotency-Key", "once");
    job.dialect = llm::Dialect::kAnthropicMessages;
    Fetch::Hooks hooks;
    hooks.keep = [this](const pipeline::Forward& what, pipeline::Recorded recorded) {
      return pipeline->keep(what, std::move(recorded));
    };
    hooks.settle = [this](const pipeline::Forward& what, const pipeline::Kept& kept) {
      pipeline->settle(what, kept);
    };
    hooks.count_error = [](const std::string&, const std::string&) {};
    pinger->watch(loop, job, hooks);
    const auto flight = std::make_shared<cache::Flight>(cache::Flight::Options{.keep = true});
    std::make_shared<Fetch>(loop, upstreams, clock, flight, std::move(job), std::move(hooks))->start();
  }
  // A request, answered at once.
  void ask(int session, int turns = 1) {
    on_loop([&] {
      fetch(body_of(session, turns));
      loop.post([&] { service.answer(answer_of(0, pipeline::fixture::kPrefix_tokens)); });
    });
  }
  void tick(int64_t later_ms) {
    clock.advance_ms(later_ms);
    on_loop([&] { pinger->tick(); });
  }

  net::EventLoop loop;
  ScriptedProvider service;
  Upstreams upstreams{loop, {}};
  std::shared_ptr<Pinger> pinger =
      std::make_shared<Pinger>(Pinger::Parts{loop, upstreams, pool, stage, [this] { return pipeline->policy(); }});
};

TEST_F(PingerTest, APingGoesAsTheRequestWentJustBeforeTheTtlEnds) {
  ask(1);
  ASSERT_EQ(service.sent.size(), 1u);
  tick(kDue_ms - 1);
  EXPECT_EQ(service.sent.size(), 1u);
  tick(1);
  ASSERT_EQ(service.sent.size(), 2u);
  const Sent& first = service.sent[0];
  const Sent& ping = service.sent[1];
  EXPECT_EQ(ping.head.method, "POST");
  EXPECT_EQ(ping.head.target, first.head.target);
  EXPECT_EQ(ping.head.headers.get("x-api-key"), "sk-1");
  EXPECT_EQ(ping.head.headers.get("anthropic-version"), "2023-06-01");
  EXPECT_FALSE(ping.head.headers.get("idempotency-key"));
  EXPECT_EQ(part(ping.body, "\"system\"", "\"messages\""), part(first.body, "\"system\"", "\"messages\""));
  EXPECT_NE(ping.body.find(R"("max_tokens":0)"), std::string::npos);
  on_loop([&] { service.answer(answer_of(pipeline::fixture::kPrefix_tokens, 0, "max_tokens")); });
  EXPECT_EQ(stage.stats().pings, 1u);
  EXPECT_GT(stage.stats().usd, 0);
}

TEST_F(PingerTest, ALaterRequestOfTheSessionIsAllThePingThatIsNeeded) {
  ask(1);
  clock.advance_ms(100'000);
  ask(1, 2);
  tick(kDue_ms - 100'000);
  EXPECT_EQ(service.sent.size(), 2u);
  tick(100'000);
  EXPECT_EQ(service.sent.size(), 3u);
}

TEST_F(PingerTest, AFailureIsNotRetried) {
  ask(1);
  tick(kDue_ms);
  on_loop([&] { service.answer(R"({"type":"error","error":{"type":"overloaded_error"}})", 529); });
  ask(2);
  tick(kDue_ms);
  on_loop([&] { service.sent.back().sink->on_error({base::Code::kTimeout, "no answer"}, true); });
  const size_t sent = service.sent.size();
  tick(1000);
  tick(kDue_ms);
  EXPECT_EQ(service.sent.size(), sent);
  EXPECT_EQ(stage.stats().failed, 2u);
  EXPECT_EQ(stage.stats().held, 0u);
}

TEST_F(PingerTest, AShutdownForgetsAndCancels) {
  ask(1);
  tick(kDue_ms);
  ask(2);
  EXPECT_EQ(stage.stats().held, 1u);
  on_loop([&] { pinger->stop(); });
  EXPECT_EQ(stage.stats().held, 0u);
  EXPECT_EQ(service.cancels, 1);
  EXPECT_EQ(stage.stats().failed, 1u);
  const size_t sent = service.sent.size();
  tick(kDue_ms);
  EXPECT_EQ(service.sent.size(), sent);
}

TEST_F(PingerTest, GoesOverAConnectionAsRequestsDo) {
  std::mutex mutex;  // the server has a thread of its own
  std::vector<std::string> bodies, keys;
  net::TestServer server([&](const std::shared_ptr<net::Exchange>& exchange) {
    const std::lock_guard lock(mutex);
    bodies.emplace_back(exchange->body().view());
    keys.emplace_back(exchange->head().headers.get("x-api-key").value_or(""));
    net::ResponseHead head;
    head.headers.add("Content-Type", "application/json");
    const bool first = bodies.size() == 1;
    exchange->respond(std::move(head), base::Bytes(answer_of(first ? 0 : pipeline::fixture::kPrefix_tokens,
                                                             first ? pipeline::fixture::kPrefix_tokens : 0)));
  });
  auto remote = std::make_shared<route::Upstream>(*make_upstream(nullptr));
  remote->base_url = fmt::format("http://127.0.0.1:{}/v1", server.port());
  remote->anthropic_base_url = fmt::format("http://127.0.0.1:{}", server.port());
  upstream = remote;
  set_budget(1);
  tick(0);
  on_loop([&] { fetch(body_of(1, 1)); });
  run_until([&] { return stage.stats().held == 1; });
  tick(kDue_ms);
  run_until([&] { return stage.stats().pings == 1; });
  EXPECT_EQ(stage.stats().failed, 0u);
  const std::lock_guard lock(mutex);
  ASSERT_EQ(bodies.size(), 2u);
  EXPECT_NE(bodies[1].find(R"("max_tokens":0)"), std::string::npos);
  EXPECT_EQ(keys[1], "sk-1");
}

TEST_F(PingerTest, WithoutABudgetNoRequestIsWatched) {
  set_budget(0);
  ask(1);
  EXPECT_EQ(stage.stats().held, 0u);
  tick(kDue_ms);
  EXPECT_EQ(service.sent.size(), 1u);
}

}  // namespace
}  // namespace payonce::gateway
