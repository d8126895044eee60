#include "engine/tier.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <mutex>

#include "base/env.h"
#include "base/temporary_directory.h"
#include "engine/recording_sink.h"
#include "engine/scheduler.h"
#include "engine/simulated_executor.h"

namespace payonce::engine {
namespace {

namespace fs = std::filesystem;

Generate tier_request(int32_t count, int32_t answer, std::string tenant = "t") {
  Generate out;
  for (int32_t i = 0; i < count; ++i) out.prompt.push_back((i * 5 + 3) % SimulatedExecutor::kVocab);
  out.tenant = std::move(tenant);
  out.sampling.temperature = 0;
  out.stopping.max_tokens = answer;
  return out;
}

struct TierTest : testing::Test {
  ~TierTest() override { stop(); }
  // A new process on the same directory, as far as the tier can tell.
  void start(EngineOptions options, bool on_disk = true) {
    stop();
    options.context_tokens = 2048;
    options.root = "model";
    executor = std::make_unique<SimulatedExecutor>(options.full_blocks, options.sliding_blocks, options.window);
    store = kv::BlockStore::open({.memory_bytes = on_disk ? 0 : 64U << 20,
                                  .directory = on_disk ? directory.path() : "",
                                  .disk_bytes = 64U << 20,
                                  .fingerprint = "simulated"},
                                 env, clock, metrics);
    tier = std::make_unique<Tier>(*store, *executor, [this] {
      {
        const std::lock_guard lock(mutex);
        came = true;
      }
      changed.notify_all();
    });
    scheduler = std::make_unique<Scheduler>(Scheduler::Parts{*executor, nullptr, tier.get(), clock, metrics, nullptr},
                                            options);
  }
  void stop() {
    scheduler.reset();
    tier.reset();
    store.reset();
  }
  std::shared_ptr<RecordingSink> run(Generate request) {
    auto sink = std::make_shared<RecordingSink>();
    scheduler->add(++last_id, std::move(request), sink);
    while (!sink->over.load()) {
      if (scheduler->step()) continue;
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return came; });
      came = false;
    }
    while (scheduler->step()) {
    }
    EXPECT_EQ(executor->fault, "");
    scheduler->blocks().check();
    return sink;
  }
  base::PosixEnv env;
  base::SystemClock clock;
  base::Metrics metrics;
  base::TemporaryDirectory directory;
  std::unique_ptr<SimulatedExecutor> executor;
  std::unique_ptr<kv::BlockStore> store;
  std::unique_ptr<Tier> tier;
  std::unique_ptr<Scheduler> scheduler;
  std::mutex mutex;
  std::condition_variable changed;
  bool came = false;
  RequestId last_id = 0;
};

TEST_F(TierTest, AfterARestartTheFirstRepeatedPromptIsLoaded) {
  start({.full_blocks = 64});
  const auto before = run(tier_request(200, 3));
  start({.full_blocks = 64});
  const size_t rows = executor->computed_rows;
  const auto after = run(tier_request(200, 3));
  EXPECT_EQ(after->tokens, before->tokens);
  EXPECT_EQ(after->usage->cached_tokens, 199);
  EXPECT_EQ(executor->computed_rows - rows, 3U);
}

TEST_F(TierTest, WhatThePoolEvictsComesBackFromMemory) {
  start({.full_blocks = 16}, false);
  const auto first = run(tier_request(200, 3));
  Generate other = tier_request(230, 3, "other");
  (void)run(other);  // takes every block
  const size_t rows = executor->computed_rows;
  const auto again = run(tier_request(200, 3));
  EXPECT_EQ(again->tokens, first->tokens);
  EXPECT_LT(executor->computed_rows - rows, 20U);
}

TEST_F(TierTest, SlidingBlocksComeBackToo) {
  start({.full_blocks = 64, .sliding_blocks = 64, .window = 40});
  const auto before = run(tier_request(200, 3));
  start({.full_blocks = 64, .sliding_blocks = 64, .window = 40});
  const auto after = run(tier_request(200, 3));
  EXPECT_EQ(after->tokens, before->tokens);
  EXPECT_EQ(after->usage->cached_tokens, 199);
}

TEST_F(TierTest, AnotherTenantLoadsNothing) {
  start({.full_blocks = 64});
  (void)run(tier_request(200, 3, "a"));
  start({.full_blocks = 64});
  EXPECT_EQ(run(tier_request(200, 3, "b"))->usage->cached_tokens, 0);
}

TEST_F(TierTest, DamagedBlocksAreComputedAgain) {
  start({.full_blocks = 64});
  const auto before = run(tier_request(200, 3));
  stop();
  for (const auto& file : fs::directory_iterator(directory.path())) {
    if (!file.is_regular_file() || file.file_size() < 4096) continue;
    auto bytes = base::read_file(env, file.path().string());
    ASSERT_TRUE(bytes);
    for (size_t i = 300; i < bytes->size(); i += 97) (*bytes)[i] = static_cast<char>((*bytes)[i] ^ 0x40);
    ASSERT_TRUE(base::write_file_atomic(env, file.path().string(), *bytes));
  }
  start({.full_blocks = 64});
  const auto after = run(tier_request(200, 3));
  EXPECT_EQ(after->tokens, before->tokens);
  EXPECT_LT(after->usage->cached_tokens, 199);
}

TEST_F(TierTest, EqualPromptsThatArriveTogetherLoadOnce) {
  start({.full_blocks = 64});
  (void)run(tier_request(200, 1));
  start({.full_blocks = 64});
  auto first = std::make_shared<RecordingSink>();
  scheduler->add(++last_id, tier_request(200, 1), first);
  const auto second = run(tier_request(200, 1));
  EXPECT_TRUE(first->over.load());
  EXPECT_EQ(first->usage->cached_tokens, 199);
  EXPECT_EQ(second->usage->cached_tokens, 199);
  EXPECT_EQ(executor->computed_rows, 2U);
}

}  // namespace
}  // namespace payonce::engine
