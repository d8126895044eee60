// A service inside the process as an upstream, and as the whole server: a scripted one, which keeps what it was
// asked.
#include "net/local_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "gateway/fetch.h"
#include "gateway/local_answer.h"

namespace payonce::gateway {
namespace {

using testing::ElementsAre;

struct Script {
  net::RequestHead head;
  std::string body, tenant;
  std::shared_ptr<net::ResponseSink> sink;
  int sends = 0, cancels = 0, pauses = 0, resumes = 0;
};

class ScriptedService final : public net::LocalService {
 public:
  explicit ScriptedService(Script& script) : script_(script) {}
  std::shared_ptr<net::Call> send(net::RequestHead head, base::Bytes body, std::string tenant, net::EventLoop&,
                                  std::shared_ptr<net::ResponseSink> sink) override {
    ++script_.sends;
    script_.head = std::move(head);
    script_.body = body.view();
    script_.tenant = std::move(tenant);
    script_.sink = std::move(sink);
    return std::make_shared<ScriptedCall>(script_);
  }

 private:
  struct ScriptedCall final : net::Call {
    explicit ScriptedCall(Script& of) : script(of) {}
    void cancel() override { ++script.cancels; }
    void pause() override { ++script.pauses; }
    void resume() override { ++script.resumes; }
    Script& script;
  };
  Script& script_;
};

net::ResponseHead head_of(int status, std::string_view type) {
  net::ResponseHead head{.status = status};
  head.headers.add("Content-Type", type);
  return head;
}

// Runs `test` on the loop, then what it has posted.
void on_loop(net::EventLoop& loop, std::function<void()> test) {
  loop.post([&] {
    test();
    loop.post([&] { loop.stop(); });
  });
  loop.run();
  loop.context().restart();
}

struct LocalUpstream : testing::Test {
  LocalUpstream() {
    auto made = std::make_shared<route::Upstream>();
    made->name = "local";
    made->local = &service;
    made->forward_credential = false;
    upstream = made;
    pipeline::Policy own;
    own.retry.attempts = 1;
    policy = std::make_shared<const pipeline::Policy>(std::move(own));
  }
  std::shared_ptr<Fetch> fetch(Fetch::Hooks hooks = {},
                               std::shared_ptr<const pipeline::Prepared> prepared = nullptr) {
    Fetch::Job job;
    job.forward.prepared = std::move(prepared);
    job.forward.scope = "u-narrowed";
    job.forward.policy = policy;
    job.forward.candidates = {upstream};
    job.head = {.method = "POST", .target = "/v1/chat/completions?x=1"};
    job.head.headers.add("Authorization", "Bearer caller");
    job.body = base::Bytes::unowned("{}");
    job.dialect = llm::Dialect::kOpenAiChat;
    hooks.count_error = [](const std::string&, const std::string&) {};
    const auto made = std::make_shared<Fetch>(loop, upstreams, clock, flight, std::move(job), std::move(hooks));
    flight->on_abandoned([weak = std::weak_ptr<Fetch>(made)] {
      if (const auto alive = weak.lock()) alive->cancel();
    });
    return made;
  }

  net::EventLoop loop;  // first: outlives the sinks that the script keeps
  Script script;
  ScriptedService service{script};
  Upstreams upstreams{loop, {}};
  base::FakeClock clock;
  route::UpstreamPtr upstream;
  pipeline::PolicyPtr policy;
  std::shared_ptr<cache::Flight> flight =
      std::make_shared<cache::Flight>(cache::Flight::Options{.keep = false, .lag_limit_bytes = 8});
};

TEST_F(LocalUpstream, GetsTheRequestWithTheScopeAsTenantAndWithoutTheCredential) {
  const auto reader = flight->join([] {}).value();
  on_loop(loop, [&] {
    fetch()->start();
    script.sink->on_head(head_of(200, "application/json"));
    script.sink->on_data(base::Bytes::unowned("yes"));
    script.sink->on_end();
  });
  EXPECT_EQ(script.tenant, "u-narrowed");
  EXPECT_EQ(script.head.target, "/v1/chat/completions?x=1");
  EXPECT_FALSE(script.head.headers.get("authorization"));
  EXPECT_EQ(script.body, "{}");
  const auto progress = flight->take(reader);
  EXPECT_EQ(progress.state, cache::Flight::State::kDone);
  ASSERT_EQ(progress.chunks.size(), 1u);
  EXPECT_EQ(progress.chunks[0].view(), "yes");
}

// What became of an answer, in order: a reader saw a part or the end, it was kept, it was settled.
struct KeptAnswer : LocalUpstream {
  std::vector<std::string> order(std::string_view type, const std::vector<std::string>& parts) {
    std::vector<std::string> out;
    flight = std::make_shared<cache::Flight>(cache::Flight::Options{});
    cache::Flight::ReaderId reader = 0;
    reader = flight
                 ->join([&] {
                   const auto progress = flight->take(reader);
                   for (const base::Bytes& chunk : progress.chunks) out.emplace_back(chunk.view().substr(0, 12));
                   if (progress.state != cache::Flight::State::kDone) return;
                   out.emplace_back("end");
                   loop.post([&] { loop.stop(); });
                 })
                 .value();
    Fetch::Hooks hooks;
    hooks.keep = [&](const pipeline::Forward&, const pipeline::Recorded&) {
      out.emplace_back("kept");
      return pipeline::Kept{};
    };
    hooks.settle = [&](const pipeline::Forward&, const pipeline::Kept&) { out.emplace_back("settled"); };
    hooks.post_to_pool = [&](std::function<void()> work) {
      loop.post(std::move(work));
      return true;
    };
    loop.post([&] {
      fetch(std::move(hooks), std::make_shared<const pipeline::Prepared>())->start();
      script.sink->on_head(head_of(200, type));
      for (const std::string& part : parts) script.sink->on_data(base::Bytes::copy(part));
      script.sink->on_end();
    });
    loop.run();
    loop.context().restart();
    return out;
  }
};

TEST_F(KeptAnswer, AReaderSeesTheEndOfADocumentWhenItIsStored) {
  EXPECT_THAT(order("application/json", {R"({"id":)", "1}"}),
              ElementsAre(R"({"id":)", "1}", "kept", "end", "settled"));
}

TEST_F(KeptAnswer, AReaderSeesTheLastEventOfAStreamWhenItIsStored) {
  EXPECT_THAT(order("text/event-stream", {"data: {}\n\n", "data: [DONE]\n\n"}),
              ElementsAre("data: {}\n\n", "kept", "data: [DONE]", "settled", "end"));
}

TEST_F(KeptAnswer, ALargeOneIsStoredBesideTheLoopAndItsEndWaitsForThat) {
  const std::string large = "data: " + std::string(100'000, 'x') + "\n\n";
  EXPECT_THAT(order("text/event-stream", {large, "data: [DONE]\n\n"}),
              ElementsAre("data: xxxxxx", "kept", "settled", "data: [DONE]", "end"));
  EXPECT_THAT(order("application/json", {large}), ElementsAre("data: xxxxxx", "kept", "settled", "end"));
}

TEST_F(LocalUpstream, WaitsForASlowReaderAndGoesOnWithIt) {
  const auto reader = flight->join([] {}).value();
  on_loop(loop, [&] {
    fetch()->start();
    script.sink->on_head(head_of(200, "text/event-stream"));
    script.sink->on_data(base::Bytes::unowned("more than the limit"));
  });
  EXPECT_EQ(script.pauses, 1);
  EXPECT_EQ(script.resumes, 0);
  on_loop(loop, [&] { (void)flight->take(reader); });
  EXPECT_EQ(script.resumes, 1);
}

TEST_F(LocalUpstream, IsToldWhenTheLastReaderLeaves) {
  const auto reader = flight->join([] {}).value();
  on_loop(loop, [&] {
    fetch()->start();
    flight->leave(reader);
  });
  EXPECT_EQ(script.cancels, 1);
}

TEST_F(LocalUpstream, ItsErrorNamesTheUpstream) {
  const auto reader = flight->join([] {}).value();
  on_loop(loop, [&] {
    fetch()->start();
    script.sink->on_error({base::Code::kUnavailable, "the engine ends"}, true);
  });
  const auto progress = flight->take(reader);
  EXPECT_EQ(progress.state, cache::Flight::State::kFailed);
  EXPECT_EQ(progress.error.message, "upstream 'local': the engine ends");
}

// An exchange that keeps what it was told.
class FakeExchange final : public net::Exchange {
 public:
  explicit FakeExchange(net::EventLoop& of) : loop_(of) {
    head_ = {.method = "POST", .target = "/v1/chat/completions"};
    body_ = base::Bytes::unowned("{}");
  }
  net::EventLoop& loop() override { return loop_; }
  std::string remote_address() const override { return "127.0.0.1"; }
  void respond(net::ResponseHead head, base::Bytes body) override {
    whole = head.status;
    sent = body.view();
  }
  void start(net::ResponseHead head, std::optional<uint64_t>) override { started = head.status; }
  void write(base::Bytes chunk) override { sent += chunk.view(); }
  void finish() override { finished = true; }
  void abort() override { aborted = true; }
  size_t unsent_bytes() const override { return 0; }
  bool is_behind() const override { return behind; }

  int whole = 0, started = 0;
  bool finished = false, aborted = false, behind = false;
  std::string sent;

 private:
  net::EventLoop& loop_;
};

struct LocalAnswerTest : testing::Test {
  void ask() { answer_locally(exchange, service, "u-1"); }
  net::EventLoop loop;  // first: outlives the sinks that the script keeps
  Script script;
  ScriptedService service{script};
  std::shared_ptr<FakeExchange> exchange = std::make_shared<FakeExchange>(loop);
};

TEST_F(LocalAnswerTest, ADocumentGoesOutWhole) {
  on_loop(loop, [&] {
    ask();
    script.sink->on_head(head_of(200, "application/json"));
    script.sink->on_data(base::Bytes::unowned("{\"a\":"));
    script.sink->on_data(base::Bytes::unowned("1}"));
    script.sink->on_end();
  });
  EXPECT_EQ(script.tenant, "u-1");
  EXPECT_EQ(exchange->whole, 200);
  EXPECT_EQ(exchange->started, 0);
  EXPECT_EQ(exchange->sent, "{\"a\":1}");
}

TEST_F(LocalAnswerTest, AnErrorReplacesHalfADocument) {
  on_loop(loop, [&] {
    ask();
    script.sink->on_head(head_of(200, "application/json"));
    script.sink->on_data(base::Bytes::unowned("{\"a\":"));
    script.sink->on_error({base::Code::kExhausted, "no memory"}, true);
  });
  EXPECT_EQ(exchange->whole, 429);
  EXPECT_NE(exchange->sent.find("no memory"), std::string::npos);
  EXPECT_EQ(exchange->sent.find("{\"a\":"), std::string::npos);
}

TEST_F(LocalAnswerTest, AStreamThatFailsSaysSoAndIsCut) {
  on_loop(loop, [&] {
    ask();
    script.sink->on_head(head_of(200, "text/event-stream"));
    script.sink->on_data(base::Bytes::unowned("data: 1\n\n"));
    script.sink->on_error({base::Code::kTimeout, "too slow"}, true);
  });
  EXPECT_EQ(exchange->started, 200);
  EXPECT_TRUE(exchange->sent.starts_with("data: 1\n\n"));
  EXPECT_NE(exchange->sent.find("too slow"), std::string::npos);
  EXPECT_TRUE(exchange->aborted);
  EXPECT_FALSE(exchange->finished);
}

TEST_F(LocalAnswerTest, AStreamGoesAtTheClientsPace) {
  on_loop(loop, [&] {
    ask();
    script.sink->on_head(head_of(200, "text/event-stream"));
    exchange->behind = true;
    script.sink->on_data(base::Bytes::unowned("data: 1\n\n"));
    script.sink->on_data(base::Bytes::unowned("data: 2\n\n"));
    EXPECT_EQ(script.pauses, 1);
    EXPECT_EQ(script.resumes, 0);
    exchange->behind = false;
    exchange->on_drained();
    EXPECT_EQ(script.resumes, 1);
    script.sink->on_end();
  });
  EXPECT_TRUE(exchange->finished);
}

TEST_F(LocalAnswerTest, AClientThatLeavesCancelsItsCallAndNothingMoreIsWritten) {
  on_loop(loop, [&] {
    ask();
    exchange->on_closed();
    script.sink->on_head(head_of(200, "text/event-stream"));
    script.sink->on_end();
  });
  EXPECT_EQ(script.cancels, 1);
  EXPECT_EQ(exchange->started, 0);
  script.sink.reset();
  EXPECT_EQ(exchange.use_count(), 1);  // the circle of callbacks is open again
}

}  // namespace
}  // namespace payonce::gateway
