// Everything at once, on real threads: requests on two loops, an engine of its own thread, clients that leave.
#include <condition_variable>
#include <deque>
#include <random>
#include <thread>

#include "engine/api/api_fixture.h"

namespace payonce::engine {
namespace {

// Answers every request with some pieces, in the order in which they came, until it is cancelled.
class ThreadedEngine {
 public:
  ThreadedEngine() : thread_([this] { run(); }) {}
  ~ThreadedEngine() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }
  EnginePort port() {
    return {.submit = [this](Generate, std::shared_ptr<Sink> sink) -> base::Result<RequestId> {
              const std::lock_guard lock(mutex_);
              waiting_.push_back(std::move(sink));
              wake_.notify_all();
              return ++submitted_;
            },
            .cancel =
                [this](RequestId) {
                  const std::lock_guard lock(mutex_);
                  ++cancelled_;
                }};
  }
  RequestId submitted() {
    const std::lock_guard lock(mutex_);
    return submitted_;
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (waiting_.empty()) return;
      const auto sink = std::move(waiting_.front());
      waiting_.pop_front();
      lock.unlock();
      for (int i = 0; i < 5; ++i) sink->piece({.text = "word "});
      sink->finished({});
      sink->done({.prompt_tokens = 3, .completion_tokens = 5});
      lock.lock();
    }
  }
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::shared_ptr<Sink>> waiting_;
  RequestId submitted_ = 0, cancelled_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

// Counts, and leaves after so many chunks (0: never).
struct Client final : net::ResponseSink {
  explicit Client(int leave_after, std::atomic<int>& open) : leave_after_(leave_after), open_(open) { ++open_; }
  void on_head(net::ResponseHead) override {}
  void on_data(base::Bytes chunk) override {
    EXPECT_FALSE(gone_) << "data after cancel()";
    body += chunk.view();
    if (++chunks_ != leave_after_) return;
    gone_ = true;
    call->cancel();
    call.reset();
    --open_;
  }
  void on_end() override {
    EXPECT_FALSE(gone_);
    EXPECT_TRUE(body.ends_with("data: [DONE]\n\n"));
    call.reset();
    --open_;
  }
  void on_error(base::Error, bool) override { ADD_FAILURE(); }

  std::shared_ptr<net::Call> call;
  std::string body;

 private:
  const int leave_after_;
  std::atomic<int>& open_;
  int chunks_ = 0;
  bool gone_ = false;
};

TEST(ApiThreads, ManyRequestsOnManyThreadsEndOnceEach) {
  constexpr int kRequests = 400;
  ThreadedEngine engine;
  FakeChat chat;
  ModelInfo model;
  base::SystemClock clock;
  base::WorkerPool pool({.threads = 2});
  net::EventLoops loops(2);
  Api api({.engine = engine.port(),
           .vocab = byte_vocab(false),
           .chat = chat,
           .model = model,
           .pool = pool,
           .clock = clock},
          {}, 4096);
  loops.start();
  std::atomic<int> open = 0;
  std::mt19937 random(7);
  for (int i = 0; i < kRequests; ++i) {
    net::EventLoop& loop = loops[static_cast<size_t>(i) % 2];
    auto client = std::make_shared<Client>(static_cast<int>(random() % 4), open);
    loop.post([&api, &loop, client] {
      client->call = api.serve({.method = "POST", .target = "/v1/completions"},
                               base::Bytes(R"({"prompt":"Hi","stream":true})"), "t", loop, client);
    });
  }
  while (open > 0) std::this_thread::yield();
  loops.stop();
  EXPECT_EQ(engine.submitted(), kRequests);
}

}  // namespace
}  // namespace payonce::engine
