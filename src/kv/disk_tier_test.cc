// The disk tier by way of the store: room, second chance, wishes, a full and a failing disk; and everything together
// against a naive model.
#include "kv/disk_tier.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <string>

#include "base/log.h"
#include "kv/store_fixture.h"

namespace payonce::kv {
namespace {

constexpr size_t kDiskPayload = 4000;  // with its header two boundaries: 8 KiB
constexpr uint64_t kStride = 8 << 10;

class DiskTierTest : public testing::Test {
 protected:
  void SetUp() override { base::configure_log(base::LogLevel::kOff, base::LogFormat::kText); }
  void TearDown() override { base::configure_log(base::LogLevel::kInfo, base::LogFormat::kText); }

  // Room for 32 strides, 4 to a segment with its header.
  static BlockStore::Options small() {
    return {.memory_bytes = 0, .disk_bytes = 32 * kStride, .segment_bytes = 4 * kStride + kAlignBytes};
  }
};

TEST_F(DiskTierTest, TheOldestSegmentsMakeRoom) {
  StoreFixture f(small());
  for (int i = 0; i < 200; ++i) {
    f.put(i, kDiskPayload);
    f.store->flush();
    ASSERT_LE(f.file_bytes(), 32 * kStride);
    ASSERT_EQ(f.file_bytes(), f.store->stats().disk.bytes);
  }
  for (int i = 0; i < 170; ++i) EXPECT_EQ(f.where(i), Where::kNone) << i;
  for (int i = 180; i < 200; ++i) EXPECT_TRUE(is_same(f.get(i), make_block(i, kDiskPayload))) << i;
  const Stats stats = f.store->stats();
  EXPECT_EQ(stats.disk.blocks + stats.disk.evictions, 200u);
  EXPECT_EQ(stats.dropped_writes, 0u);
}

TEST_F(DiskTierTest, WhatIsUsedGetsASecondChance) {
  StoreFixture f(small());
  f.put(0, kDiskPayload);
  for (int i = 1; i < 300; ++i) {
    f.put(i, kDiskPayload);
    f.store->flush();
    ASSERT_NE(f.get(0), nullptr) << i;
  }
  f.reopen();
  EXPECT_TRUE(is_same(f.get(0), make_block(0, kDiskPayload)));
}

TEST_F(DiskTierTest, OneUseGivesOneChance) {
  StoreFixture f(small());
  f.put(0, kDiskPayload);
  f.store->flush();
  ASSERT_NE(f.get(0), nullptr);
  for (int i = 1; i < 40; ++i) f.put(i, kDiskPayload);
  f.store->flush();
  EXPECT_EQ(f.where(0), Where::kDisk);
  EXPECT_EQ(f.where(1), Where::kNone);
  for (int i = 40; i < 100; ++i) f.put(i, kDiskPayload);
  f.store->flush();
  EXPECT_EQ(f.where(0), Where::kNone);
}

TEST_F(DiskTierTest, AHitInMemoryAndAnotherPutAreUses) {
  BlockStore::Options options = small();
  options.memory_bytes = 3 * kStride;
  StoreFixture f(options);
  f.put(0, kDiskPayload);
  f.put(1, kDiskPayload);
  f.put(2, kDiskPayload);
  ASSERT_NE(f.get(0), nullptr);
  f.put(1, kDiskPayload);
  for (int i = 3; i < 40; ++i) f.put(i, kDiskPayload);
  f.store->flush();
  EXPECT_EQ(f.where(0), Where::kDisk);
  EXPECT_EQ(f.where(1), Where::kDisk);
  EXPECT_EQ(f.where(2), Where::kNone);
}

TEST_F(DiskTierTest, HalfOfASegmentIsCarriedOverAtMost) {
  StoreFixture f(small());
  for (int i = 0; i < 200; ++i) {
    f.put(i, kDiskPayload);
    f.store->flush();
    for (int j = 0; j <= i; ++j) (void)f.get(j);  // all are used
    ASSERT_LE(f.file_bytes(), 32 * kStride);
  }
  EXPECT_EQ(f.where(199), Where::kDisk);
  EXPECT_GT(f.store->stats().disk.evictions, 150u);
}

TEST_F(DiskTierTest, AWishIsHeldUntilItsTimeHasPassedAndThroughARestart) {
  StoreFixture f(small());
  f.put(0, kDiskPayload, -1, f.clock.unix_ms() + 1000);
  f.put(1, kDiskPayload);
  f.store->flush();
  f.store->keep(hash_of(1), f.clock.unix_ms() + 1000);
  for (int i = 2; i < 100; ++i) f.put(i, kDiskPayload);
  f.reopen();
  for (int i = 100; i < 200; ++i) f.put(i, kDiskPayload);
  f.store->flush();
  EXPECT_EQ(f.where(0), Where::kDisk);
  EXPECT_EQ(f.where(1), Where::kDisk) << "its wish was written with it when it was carried over";
  f.clock.advance_ms(1000);
  for (int i = 200; i < 300; ++i) f.put(i, kDiskPayload);
  f.store->flush();
  EXPECT_EQ(f.where(0), Where::kNone);
  EXPECT_EQ(f.where(1), Where::kNone);
}

TEST_F(DiskTierTest, WishesDoNotFillTheDisk) {
  StoreFixture f(small());
  for (int i = 0; i < 200; ++i) {
    f.put(i, kDiskPayload, -1, f.clock.unix_ms() + 1'000'000);
    f.store->flush();
    ASSERT_LE(f.file_bytes(), 32 * kStride);
    ASSERT_EQ(f.where(i), Where::kDisk);
  }
}

TEST_F(DiskTierTest, AFullQueueDropsTheWriteAndCountsIt) {
  BlockStore::Options options;
  options.queue_bytes = 100'000;
  StoreFixture f(options);
  f.put(1, 200'000);
  f.store->flush();
  EXPECT_EQ(f.where(1), Where::kMemory);
  EXPECT_EQ(f.store->stats().dropped_writes, 1u);
  EXPECT_EQ(f.store->stats().disk.blocks, 0u);
  EXPECT_EQ(f.metrics.counter("payonce_kv_store_dropped_total").value(), 1);
  f.put(2, 50'000);
  f.store->flush();
  EXPECT_EQ(f.store->stats().disk.blocks, 1u);
}

TEST_F(DiskTierTest, ABlockTooLargeForTheDiskIsLeftOut) {
  StoreFixture f(small());
  f.put(0, 2000);
  f.put(1, 10 * kStride);
  f.put(2, 2000);
  f.store->flush();
  EXPECT_EQ(f.where(0), Where::kDisk);
  EXPECT_EQ(f.where(1), Where::kNone);
  EXPECT_EQ(f.where(2), Where::kDisk) << "writing goes on";
  EXPECT_EQ(f.store->stats().dropped_writes, 1u);
}

TEST_F(DiskTierTest, ALessenedCapacityIsKeptFromTheStart) {
  StoreFixture f(small());
  for (int i = 0; i < 30; ++i) f.put(i, kDiskPayload);
  f.options.disk_bytes = 12 * kStride;
  f.reopen();
  f.store->flush();
  EXPECT_LE(f.file_bytes(), 12 * kStride);
  EXPECT_EQ(f.where(27), Where::kDisk);
}

TEST_F(DiskTierTest, AFullDiskIsWaitedOutAndTheRestGoesOn) {
  StoreFixture f(small());
  for (int i = 0; i < 10; ++i) f.put(i, kDiskPayload);
  f.store->flush();
  f.env.full = true;
  f.put(10, kDiskPayload);
  f.store->flush();
  EXPECT_EQ(f.where(10), Where::kNone);
  f.env.full = false;
  f.put(11, kDiskPayload);
  f.store->flush();
  EXPECT_EQ(f.where(11), Where::kNone) << "writing is off for a while";
  EXPECT_EQ(f.store->stats().dropped_writes, 2u);
  const uint64_t before = f.file_bytes();
  f.clock.advance_ms(10'000);
  f.put(12, kDiskPayload);
  f.store->flush();
  EXPECT_EQ(f.where(12), Where::kDisk);
  EXPECT_LE(f.file_bytes(), before) << "it makes room of its own first";
  for (int i = 6; i < 10; ++i) EXPECT_TRUE(is_same(f.get(i), make_block(i, kDiskPayload))) << i;
  for (int i = 100; i < 400; ++i) {
    f.put(i, kDiskPayload);
    f.store->flush();
  }
  EXPECT_GT(f.file_bytes(), 20 * kStride) << "in time it takes its room back";
  EXPECT_LE(f.file_bytes(), 32 * kStride);
}

// Whatever is found is right; without pressure all that was put is found, through restarts too; bytes stay within
// their limits.
RC_GTEST_FIXTURE_PROP(DiskTierTest, DoesWhatANaiveSetDoes, ()) {
  const bool roomy = *rc::gen::arbitrary<bool>();
  StoreFixture f({.memory_bytes = *rc::gen::element<uint64_t>(0, 20'000, 1'000'000),
                  .disk_bytes = roomy ? 8u << 20 : 24 * kStride,
                  .segment_bytes = *rc::gen::element<uint64_t>(1u << 13, 5u << 13)});
  const auto block_of = [](int number) {
    return make_block(number, static_cast<size_t>(number * number * 7), number - 1);
  };
  std::set<int> model;
  const auto check = [&](int number) {
    const BlockPtr block = f.get(number);
    RC_ASSERT(!block || (model.contains(number) && is_same(block, block_of(number))));
    RC_ASSERT(block || !roomy || !model.contains(number));
  };
  const int steps = *rc::gen::inRange(1, 80);
  for (int i = 0; i < steps; ++i) {
    const int number = *rc::gen::inRange(0, 36);
    switch (*rc::gen::inRange(0, 10)) {
      case 0: f.store->flush(); break;
      case 1: f.reopen(); break;
      case 2: f.clock.advance_ms(*rc::gen::inRange(0, 2000)); break;
      case 3: f.store->keep(hash_of(number), f.clock.unix_ms() + 1000); break;
      case 4:
      case 5: check(number); break;
      default: {
        Block block = block_of(number);
        block.keep_until_ms = *rc::gen::element<int64_t>(0, f.clock.unix_ms() + 500);
        RC_ASSERT(f.store->put(std::move(block)).has_value());
        model.insert(number);
        check(number);
      }
    }
    RC_ASSERT(f.store->stats().memory.bytes <= f.options.memory_bytes);
    RC_ASSERT(f.file_bytes() <= f.options.disk_bytes);
  }
  for (int number = 0; number < 36; ++number) check(number);
  RC_ASSERT(f.store->stats().damaged == 0u);
}

}  // namespace
}  // namespace payonce::kv
