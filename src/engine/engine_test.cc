#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

#include "engine/recording_sink.h"
#include "engine/simulated_executor.h"

namespace payonce::engine {
namespace {

Generate request_of(int32_t count, int32_t salt, int32_t answer) {
  Generate out;
  for (int32_t i = 0; i < count; ++i) out.prompt.push_back((i * 7 + salt) % SimulatedExecutor::kVocab);
  out.tenant = "t";
  out.sampling.temperature = 0;
  out.stopping.max_tokens = answer;
  return out;
}

// Lets a test hold the engine in the middle of a step, and wait for the end of a request.
struct Gate {
  void open() {
    {
      const std::lock_guard lock(mutex);
      is_open = true;
    }
    changed.notify_all();
  }
  void wait() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return is_open; });
  }
  std::mutex mutex;
  std::condition_variable changed;
  bool is_open = false;
};

struct WaitingSink final : Sink {
  void piece(Piece piece) override {
    inner.piece(std::move(piece));
    if (on_piece) on_piece();
  }
  void finished(Finished finished) override { inner.finished(std::move(finished)); }
  void done(EngineUsage usage) override {
    inner.done(usage);
    over.open();
  }
  void failed(base::Error error) override {
    inner.failed(std::move(error));
    over.open();
  }
  RecordingSink inner;
  Gate over;
  std::function<void()> on_piece;
};

// So much to answer that it is still under way whatever a busy machine does in between.
const EngineOptions kEndless{.full_blocks = 5000, .context_tokens = 80'000};

struct EngineTest : testing::Test {
  std::unique_ptr<Engine> make(EngineOptions options) {
    if (options.context_tokens == 0) options.context_tokens = 1024;
    executor = std::make_unique<SimulatedExecutor>(options.full_blocks);
    return std::make_unique<Engine>(Engine::Parts{*executor, nullptr, nullptr, clock, metrics}, std::move(options));
  }
  base::SystemClock clock;
  base::Metrics metrics;
  std::unique_ptr<SimulatedExecutor> executor;
};

TEST_F(EngineTest, AnswersManyThreadsAtOnceAndLosesNoBlock) {
  auto engine = make({.full_blocks = 60, .max_batch = 8, .prefill_chunk = 48, .max_queue = 1000});
  std::atomic<int> wrong{0};
  std::vector<std::thread> callers;
  for (unsigned caller = 0; caller < 6; ++caller)
    callers.emplace_back([&, caller] {
      std::mt19937 random(caller);
      for (int i = 0; i < 40; ++i) {
        const auto size = static_cast<int32_t>(random() % 80 + 1);
        const auto salt = static_cast<int32_t>(random() % 3);
        const auto answer = static_cast<int32_t>(random() % 30 + 1);
        auto sink = std::make_shared<WaitingSink>();
        const Generate request = request_of(size, salt, answer);
        const auto id = engine->submit(request, sink);
        if (!id) {
          ++wrong;
          continue;
        }
        if (random() % 4 == 0) {
          engine->cancel(*id);
          continue;
        }
        sink->over.wait();
        if (sink->inner.tokens[0] != SimulatedExecutor::greedy(request.prompt, answer)) ++wrong;
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong.load(), 0);
  auto last = std::make_shared<WaitingSink>();  // cancels that came before it have been dealt with after it
  ASSERT_TRUE(engine->submit(request_of(5, 0, 1), last));
  last->over.wait();
  engine.reset();
  EXPECT_EQ(executor->fault, "");
}

TEST_F(EngineTest, AFullQueueSaysSoAndServesTheOthers) {
  Gate entered, proceed;
  auto engine = make({.full_blocks = 60, .max_batch = 1, .max_queue = 2});
  auto first = std::make_shared<WaitingSink>();
  first->on_piece = [&] {
    entered.open();
    proceed.wait();
  };
  ASSERT_TRUE(engine->submit(request_of(5, 0, 3), first));
  entered.wait();
  std::vector<std::shared_ptr<WaitingSink>> sinks;
  std::optional<base::Error> refused;
  for (int i = 0; i < 4; ++i) {
    auto sink = std::make_shared<WaitingSink>();
    if (const auto id = engine->submit(request_of(5, i, 1), sink))
      sinks.push_back(sink);
    else
      refused = id.error();
  }
  proceed.open();
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->code, base::Code::kExhausted);
  EXPECT_EQ(sinks.size(), 2U);
  for (const auto& sink : sinks) sink->over.wait();
}

TEST_F(EngineTest, AfterCancelNothingMoreComes) {
  Gate entered;
  auto engine = make(kEndless);
  auto sink = std::make_shared<WaitingSink>();
  sink->on_piece = [&] { entered.open(); };
  const auto id = engine->submit(request_of(5, 0, 60'000), sink);
  ASSERT_TRUE(id);
  entered.wait();
  engine->cancel(*id);
  auto next = std::make_shared<WaitingSink>();
  ASSERT_TRUE(engine->submit(request_of(5, 1, 1), next));
  next->over.wait();  // came after the cancel
  EXPECT_FALSE(sink->inner.usage);
  engine.reset();
  EXPECT_FALSE(sink->inner.error);
}

TEST_F(EngineTest, ShuttingDownTellsWhoIsUnderWay) {
  Gate entered;
  auto engine = make(kEndless);
  auto sink = std::make_shared<WaitingSink>();
  sink->on_piece = [&] { entered.open(); };
  ASSERT_TRUE(engine->submit(request_of(5, 0, 60'000), sink));
  entered.wait();
  engine.reset();
  ASSERT_TRUE(sink->inner.error);
  EXPECT_EQ(sink->inner.error->code, base::Code::kUnavailable);
}

TEST_F(EngineTest, AListenerThatThrowsBringsNobodyDown) {
  struct ThrowingSink final : Sink {
    void piece(Piece) override { throw std::runtime_error("piece"); }
    void finished(Finished) override { throw std::runtime_error("finished"); }
    void done(EngineUsage) override { throw std::runtime_error("done"); }
    void failed(base::Error) override { throw std::runtime_error("failed"); }
  };
  auto engine = make({.full_blocks = 60});
  ASSERT_TRUE(engine->submit(request_of(5, 0, 3), std::make_shared<ThrowingSink>()));
  for (int retries = 0; retries < 50; ++retries) {  // the same step may fail too; a later one does not
    auto next = std::make_shared<WaitingSink>();
    ASSERT_TRUE(engine->submit(request_of(5, 1, 3), next));
    next->over.wait();
    if (next->inner.usage) return;
  }
  FAIL() << "nobody was served after it";
}

TEST_F(EngineTest, WhatCannotWorkIsRefusedAtOnce) {
  auto engine = make({.full_blocks = 60});
  const auto refused = engine->submit(request_of(2000, 0, 1), std::make_shared<WaitingSink>());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, base::Code::kInvalid);
  EXPECT_NE(refused.error().message.find("2000"), std::string::npos);
}

TEST_F(EngineTest, MetricsAddUpToThePool) {
  auto engine = make({.full_blocks = 60});
  for (int i = 0; i < 2; ++i) {
    auto sink = std::make_shared<WaitingSink>();
    ASSERT_TRUE(engine->submit(request_of(100, 0, 2), sink));
    sink->over.wait();
  }
  engine.reset();
  double blocks = 0;
  for (const char* state : {"free", "used", "cached"})
    blocks += metrics.gauge("payonce_kv_blocks", {{"state", state}}).value();
  EXPECT_EQ(blocks, 60);
  EXPECT_EQ(metrics.counter("payonce_kv_hit_tokens_total").value(), 99);
}

}  // namespace
}  // namespace payonce::engine
