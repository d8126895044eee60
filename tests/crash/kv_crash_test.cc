// The KV block store over power cuts and failing disks. Each test is one seed; a failure prints it, and
// PAYONCE_CRASH_SEED=<n> runs that one alone; PAYONCE_CRASH_SEEDS=<n> runs more of them.
//
// What must hold after any crash:
//   - a block that is found is, byte for byte, the one that was put under that hash;
//   - within one run, without pressure, what was put and did not fail is found;
//   - without faults and pressure, what was flushed is there.
#include <gtest/gtest.h>

#include <random>
#include <set>
#include <string>

#include "crash_env.h"
#include "kv/store_fixture.h"
#include "seeds.h"

namespace payonce::crash {
namespace {

constexpr int kBlocks = 40;

kv::Block block_of(int number) {
  return kv::make_block(number, static_cast<size_t>(number * number * 13 % 30'000), number - 1);
}

class KvWorkload {
 public:
  KvWorkload(uint64_t seed, Disk disk)
      : seed_(seed), random_(seed), env_(seed * 31 + 7, directory_.path() + "/deleted") {
    if (disk == Disk::kSealed) sealed_ = sealed_env(env_, directory_.path(), metrics_);
    options_.directory = directory_.path() + "/data";
    options_.fingerprint = "model, f16";
    options_.memory_bytes = draw(2) == 0 ? 0 : 100'000;
    // Small enough for evictions in every third seed; those promise nothing about what was flushed.
    roomy_ = draw(3) != 0;
    options_.disk_bytes = roomy_ ? 64u << 20 : 400'000;
    options_.segment_bytes = draw(2) == 0 ? 50'000 : 100'000;
    with_faults_ = draw(2) == 0;
    open();
  }

  void run(int steps) {
    for (step_ = 1; step_ <= steps && !testing::Test::HasFailure(); ++step_) step();
    crash();
    check_all();
  }

 private:
  base::Env& files() { return sealed_ ? *sealed_ : env_; }
  uint64_t draw(uint64_t below) { return random_() % below; }
  int any() { return static_cast<int>(draw(kBlocks)); }

  void step() {
    const uint64_t kind = draw(100);
    if (kind < 45) {
      put(any());
    } else if (kind < 72) {
      check(any());
    } else if (kind < 80) {
      flush();
    } else if (kind < 86) {
      clock_.advance_ms(static_cast<int64_t>(draw(4000)));
    } else if (kind < 90) {
      crash();
    } else if (kind < 93) {
      flush();
      open();
    } else if (kind < 96 && with_faults_) {
      env_.set_faults(4 + static_cast<uint32_t>(draw(40)));
    } else {
      env_.set_faults(0);
      clock_.advance_ms(11'000);
    }
  }

  void put(int number) {
    kv::Block block = block_of(number);
    block.keep_until_ms = draw(4) == 0 ? clock_.unix_ms() + 3000 : 0;
    (void)store_->put(std::move(block));
    put_.insert(number);
    if (is_well() && !unsynced_.contains(number)) there_.insert(number);
  }

  // Some call has failed since the store was opened: a block may have been dropped.
  bool is_well() const { return roomy_ && env_.faults() == faults_at_open_; }

  void flush() {
    store_->flush();
    if (is_well()) flushed_ = there_;
  }

  void check(int number) {
    const auto found = store_->get(kv::hash_of(number));
    const std::string where = fmt::format("seed {}, step {}, block {}", seed_, step_, number);
    if (found && *found) {
      EXPECT_TRUE(put_.contains(number)) << where;
      EXPECT_TRUE(kv::is_same(*found, block_of(number))) << where;
    } else if (is_well()) {
      EXPECT_FALSE(there_.contains(number)) << where;
    }
  }

  void check_all() {
    for (int i = 0; i < kBlocks; ++i) check(i);
  }

  void crash() {
    env_.crash();
    store_.reset();
    env_.revive();
    there_ = flushed_;
    open();
    unsynced_.clear();
  }

  void open() {
    store_.reset();
    if (env_.faults() != faults_at_open_) {
      there_.clear();
      unsynced_ = put_;
    }
    flushed_ = there_;
    env_.set_faults(0);
    faults_at_open_ = env_.faults();
    store_ = kv::BlockStore::open(options_, files(), clock_, metrics_);
    ASSERT_TRUE(store_->has_disk());
    check_all();
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
  kv::TemporaryDirectory directory_;
  CrashEnv env_;
  base::FakeClock clock_;
  base::Metrics metrics_;
  std::unique_ptr<base::Env> sealed_;  // over env_; null: plain
  kv::BlockStore::Options options_;
  bool roomy_ = true, with_faults_ = false;
  uint64_t faults_at_open_ = 0;
  int step_ = 0;
  std::set<int> put_;       // ever
  std::set<int> there_;     // must be found in this run
  std::set<int> flushed_;   // must be found after a crash
  std::set<int> unsynced_;  // may stand in a file whose sync failed in an earlier run: a crash may still take them
  std::unique_ptr<kv::BlockStore> store_;
};

constexpr int kKvSteps = 300;

TEST(KvStoreCrash, NothingWrongIsServedAfterAnyCrash) { run_seeds<KvWorkload>(Disk::kPlain, kKvSteps); }
TEST(KvStoreCrash, NothingWrongIsServedAfterAnyCrashOfASealedStore) {
  run_seeds<KvWorkload>(Disk::kSealed, kKvSteps);
}

}  // namespace
}  // namespace payonce::crash
