#include "kv/block_store.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "base/log.h"
#include "kv/store_fixture.h"

namespace payonce::kv {
namespace {

class Quiet : public testing::Test {
 protected:
  void SetUp() override { base::configure_log(base::LogLevel::kOff, base::LogFormat::kText); }
  void TearDown() override { base::configure_log(base::LogLevel::kInfo, base::LogFormat::kText); }
};
using BlockStoreTest = Quiet;

TEST_F(BlockStoreTest, ABlockIsThereAtOnceAndAfterARestart) {
  StoreFixture f;
  EXPECT_EQ(f.where(1), Where::kNone);
  f.put(1, 5000);
  EXPECT_EQ(f.where(1), Where::kMemory);
  EXPECT_TRUE(is_same(f.get(1), make_block(1, 5000)));
  f.reopen();
  EXPECT_EQ(f.where(1), Where::kDisk);
  EXPECT_TRUE(is_same(f.get(1), make_block(1, 5000)));
  EXPECT_EQ(f.where(1), Where::kMemory) << "what was read is in memory from then on";
  EXPECT_EQ(f.store->stats().disk.hits, 1u);
}

TEST_F(BlockStoreTest, ABlockWithAnEmptyPayloadOrOfOneTokenIsABlock) {
  StoreFixture f;
  f.put(0, 0);  // one token
  f.reopen();
  EXPECT_TRUE(is_same(f.get(0), make_block(0, 0)));
}

TEST_F(BlockStoreTest, WhatIsNoBlockIsRefused) {
  StoreFixture f;
  Block block = make_block(1);
  block.tokens.clear();
  EXPECT_EQ(f.store->put(block).error().code, base::Code::kInvalid);
  block.tokens.assign(kBlockTokens + 1, 0);
  EXPECT_EQ(f.store->put(block).error().code, base::Code::kInvalid);
  EXPECT_EQ(f.where(1), Where::kNone);
}

TEST_F(BlockStoreTest, EqualBlocksAreWrittenOnce) {
  StoreFixture f;
  f.put(1);
  f.put(1);
  f.store->flush();
  f.put(1);
  f.store->flush();
  EXPECT_EQ(f.store->stats().deduplicated, 2u);
  EXPECT_EQ(f.store->stats().disk.blocks, 1u);
  EXPECT_EQ(f.file_bytes(), 2 * kAlignBytes) << "header, one record";
  f.reopen();
  f.put(1);
  f.store->flush();
  EXPECT_EQ(f.file_bytes(), 2 * kAlignBytes);
}

TEST_F(BlockStoreTest, TheFirstOfTwoBlocksWithOneHashStays) {
  StoreFixture f;
  f.put(1, 1000);
  f.put(1, 2000);
  EXPECT_TRUE(is_same(f.get(1), make_block(1, 1000)));
  f.reopen();
  f.put(1, 2000);
  f.reopen();
  EXPECT_TRUE(is_same(f.get(1), make_block(1, 1000)));
}

TEST_F(BlockStoreTest, HitsAndMissesAreCounted) {
  StoreFixture f;
  f.put(1);
  EXPECT_EQ(f.get(2), nullptr);
  EXPECT_NE(f.get(1), nullptr);
  f.reopen();
  EXPECT_NE(f.get(1), nullptr);
  EXPECT_NE(f.get(1), nullptr);
  const Stats stats = f.store->stats();
  EXPECT_EQ(stats.memory.hits, 1u);
  EXPECT_EQ(stats.disk.hits, 1u);
  EXPECT_EQ(f.metrics.counter("payonce_kv_store_hits_total", {{"tier", "memory"}}).value(), 2) << "both runs";
  EXPECT_EQ(f.metrics.counter("payonce_kv_store_misses_total").value(), 1);
  EXPECT_EQ(f.metrics.gauge("payonce_kv_store_blocks", {{"tier", "memory"}}).value(), 1);
  EXPECT_EQ(f.metrics.gauge("payonce_kv_store_blocks", {{"tier", "disk"}}).value(), 1);
  EXPECT_EQ(f.metrics.gauge("payonce_kv_store_bytes", {{"tier", "disk"}}).value(), 2.0 * kAlignBytes);
}

TEST_F(BlockStoreTest, WhatLeftMemoryIsReadFromTheDisk) {
  StoreFixture f({.memory_bytes = 10'000});
  for (int i = 0; i < 20; ++i) f.put(i, 2000);
  f.store->flush();
  EXPECT_LE(f.store->stats().memory.bytes, 10'000u);
  EXPECT_GE(f.store->stats().memory.evictions, 15u);
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(is_same(f.get(i), make_block(i, 2000))) << i;
}

TEST_F(BlockStoreTest, WithoutADiskMemoryAloneServes) {
  StoreFixture f({.disk_bytes = 0});
  f.put(1);
  f.store->flush();
  EXPECT_FALSE(f.store->has_disk());
  EXPECT_NE(f.get(1), nullptr);
  f.reopen();
  EXPECT_EQ(f.get(1), nullptr);
}

TEST_F(BlockStoreTest, WithoutMemoryTheDiskAloneServes) {
  StoreFixture f({.memory_bytes = 0});
  f.put(1);
  EXPECT_TRUE(is_same(f.get(1), make_block(1))) << "from the queue, or from the disk";
  f.store->flush();
  EXPECT_EQ(f.where(1), Where::kDisk);
  EXPECT_TRUE(is_same(f.get(1), make_block(1)));
}

TEST_F(BlockStoreTest, ADirectoryThatCannotBeWrittenIsDoneWithout) {
  StoreFixture f;
  for (const char* path : {"/proc/payonce", "/proc/self"}) {  // for root, too
    f.options.directory = path;
    f.reopen();
    EXPECT_FALSE(f.store->has_disk());
    f.put(1);
    f.store->flush();
    EXPECT_NE(f.get(1), nullptr);
  }
}

TEST_F(BlockStoreTest, ADirectoryInUseIsNotShared) {
  StoreFixture f;
  f.put(1);
  f.store->flush();
  const auto second = BlockStore::open(f.options, f.env, f.clock, f.metrics);
  EXPECT_FALSE(second->has_disk());
  EXPECT_EQ(second->where(hash_of(1)), Where::kNone);
}

TEST_F(BlockStoreTest, AnotherFingerprintsBlocksAreNeitherServedNorLost) {
  StoreFixture f({.fingerprint = "a"});
  f.put(1);
  f.options.fingerprint = "b";
  f.reopen();
  EXPECT_EQ(f.where(1), Where::kNone);
  EXPECT_EQ(f.get(1), nullptr);
  f.put(2);
  f.options.fingerprint = "a";
  f.reopen();
  EXPECT_TRUE(is_same(f.get(1), make_block(1)));
  EXPECT_EQ(f.get(2), nullptr);
}

TEST_F(BlockStoreTest, AnotherFingerprintsBlocksMakeRoom) {
  StoreFixture f({.memory_bytes = 0, .disk_bytes = 256 << 10, .fingerprint = "a", .segment_bytes = 32 << 10});
  for (int i = 0; i < 40; ++i) f.put(i, 4000);
  f.options.fingerprint = "b";
  f.reopen();
  for (int i = 100; i < 125; ++i) f.put(i, 4000);
  f.store->flush();
  EXPECT_LE(f.file_bytes(), 256u << 10);
  for (int i = 100; i < 125; ++i) EXPECT_EQ(f.where(i), Where::kDisk) << i;
}

TEST_F(BlockStoreTest, OtherFilesInTheDirectoryAreLeftAlone) {
  StoreFixture f;
  std::ofstream(f.options.directory + "/notes.txt") << "mine";
  std::ofstream(f.options.directory + "/0000000007.kvb") << "PAYKVBL2, a later format";
  f.put(1);
  f.reopen();
  EXPECT_TRUE(std::filesystem::exists(f.options.directory + "/notes.txt"));
  EXPECT_FALSE(std::filesystem::exists(f.options.directory + "/0000000007.kvb"));
  EXPECT_NE(f.get(1), nullptr);
}

TEST_F(BlockStoreTest, ASegmentWithoutAnyBlockIsRemoved) {
  StoreFixture f;
  f.put(1);
  f.reopen();
  std::filesystem::resize_file(f.segments().front(), kAlignBytes + kRecordHeaderBytes + 10);
  f.reopen();
  EXPECT_EQ(f.where(1), Where::kNone);
  EXPECT_TRUE(f.segments().empty());
}

TEST_F(BlockStoreTest, TheCostOfReadingIsMeasured) {
  StoreFixture f;
  const ReadCost memory = f.store->read_cost(Where::kMemory);
  const ReadCost disk = f.store->read_cost(Where::kDisk);
  EXPECT_GT(memory.bytes_per_second, 0);
  EXPECT_LT(memory.us(400'000), disk.us(400'000)) << "a guess while the clock stands still";
  f.options.memory_bytes = 0;
  f.store.reset();
  const base::SystemClock clock;
  f.store = BlockStore::open(f.options, f.env, clock, f.metrics);
  f.put(1, 8 << 20);
  f.store->flush();
  ASSERT_NE(f.get(1), nullptr);
  EXPECT_NE(f.store->read_cost(Where::kDisk).bytes_per_second, disk.bytes_per_second);
}

TEST(ReadMeter, FollowsWhatItIsTold) {
  ReadMeter meter({.latency_us = 100, .bytes_per_second = 1e6});
  meter.add(10, 0, 0);
  EXPECT_EQ(meter.cost().latency_us, 10);
  EXPECT_EQ(meter.cost().bytes_per_second, 1e6) << "still the guess";
  meter.add(10, 1000, 500);
  EXPECT_DOUBLE_EQ(meter.cost().bytes_per_second, 2e6);
  for (int i = 0; i < 100; ++i) meter.add(50, 1000, 1000);
  EXPECT_NEAR(meter.cost().bytes_per_second, 1e6, 1e3);
  EXPECT_NEAR(meter.cost().us(2000), 2050, 3);
  meter.add(-5, 1000, -5);  // a clock that went back
  EXPECT_NEAR(meter.cost().bytes_per_second, 1e6, 1e3);
}

// For ThreadSanitizer, and for what must hold whatever the order.
TEST_F(BlockStoreTest, ManyThreadsPutAndGet) {
  StoreFixture f({.memory_bytes = 40'000, .disk_bytes = 400 << 10, .segment_bytes = 32 << 10});
  std::atomic<int> wrong{0};
  const auto work = [&](int thread) {
    for (int i = 0; i < 400; ++i) {
      const int number = (i * 7 + thread * 13) % 60;
      const size_t size = static_cast<size_t>(500 + number * 50);
      if (i % 3 == 0) f.put(number, size, number - 1, i % 5 == 0 ? f.clock.unix_ms() + 1000 : 0);
      if (const BlockPtr block = f.get(number); block && !is_same(block, make_block(number, size, number - 1)))
        ++wrong;
      (void)f.where(number);
      if (i % 50 == 0) f.store->flush();
      if (i % 20 == 0) f.store->keep(hash_of(number), f.clock.unix_ms() + 500);
      if (i % 30 == 0) f.clock.advance_ms(10);
      (void)f.store->stats();
      (void)f.store->read_cost(Where::kDisk);
    }
  };
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) threads.emplace_back(work, thread);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(f.store->stats().damaged, 0u);
  f.reopen();
  for (int i = 0; i < 60; ++i) {
    const BlockPtr block = f.get(i);
    EXPECT_TRUE(!block || is_same(block, make_block(i, static_cast<size_t>(500 + i * 50), i - 1))) << i;
  }
}

}  // namespace
}  // namespace payonce::kv
