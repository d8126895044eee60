// The response store over power cuts and failing disks. Each test is one seed; a failure prints it, and
// PAYONCE_CRASH_SEED=<n> runs that one alone; PAYONCE_CRASH_SEEDS=<n> runs more of them.
//
// What must hold after any crash:
//   - what is served is, byte for byte, what was inserted under that key and not covered by a durable purge since;
//   - within one run an answer that was replaced, erased or purged is not served again;
//   - without faults, what was flushed is there, and what was erased and flushed is not.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cache/store_fixture.h"
#include "crash_env.h"
#include "seeds.h"

namespace payonce::crash {
namespace {

struct Version {
  uint64_t step = 0;  // of its insertion
  std::string body;
  int64_t expires_ms = 0;
};

struct KeyModel {
  std::vector<Version> allowed;        // may be served after a crash
  std::optional<std::string> current;  // in this run: the only one that may be served ("": none); unset: any allowed
  std::optional<Version> flushed;      // must be there after a crash
  uint64_t erased_at = 0;              // durable with the next flush; 0: not erased
};

std::string shortened(const std::string& body) { return body.substr(0, 12); }

class ResponseWorkload {
 public:
  ResponseWorkload(uint64_t seed, Disk disk)
      : seed_(seed), random_(seed), env_(seed * 31 + 7, directory_.path() + "/deleted") {
    if (disk == Disk::kSealed) sealed_ = sealed_env(env_, directory_.path(), metrics_);
    options_.directory = directory_.path() + "/data";
    options_.memory_bytes = draw(3) == 0 ? 0 : 20'000;
    options_.entry_limit_bytes = 100'000;
    // Small enough for evictions in every third seed; those promise nothing about what was flushed.
    roomy_ = draw(3) != 0;
    options_.disk_bytes = roomy_ ? 64u << 20 : 2u << 20;
    with_faults_ = draw(2) == 0;
    store_ = cache::ResponseStore::open(options_, files(), clock_, pool_, metrics_);
  }

  void run(int steps) {
    for (step_ = 1; step_ <= static_cast<uint64_t>(steps) && !testing::Test::HasFailure(); ++step_) step();
    crash();
    check_all();
  }

 private:
  base::Env& files() { return sealed_ ? *sealed_ : env_; }
  uint64_t draw(uint64_t below) { return random_() % below; }
  std::string any_key() { return "k" + std::to_string(draw(20)); }

  void step() {
    const uint64_t kind = draw(100);
    if (kind < 40) {
      insert();
    } else if (kind < 70) {
      check(any_key());
    } else if (kind < 78) {
      flush();
    } else if (kind < 82) {
      erase();
    } else if (kind < 86) {
      purge();
    } else if (kind < 90) {
      clock_.advance_ms(static_cast<int64_t>(draw(4000)));
    } else if (kind < 93) {
      crash();
    } else if (kind < 95) {
      flush();
      restart();
    } else if (kind < 97 && with_faults_) {
      env_.set_faults(env_.faults() % 2 == 0 ? 4 + static_cast<uint32_t>(draw(40)) : 0);
    } else if (kind < 99) {
      heal();
    }
  }

  // Writing is on again. What could not be written of erasures before is owed with the next flush.
  void heal() {
    env_.set_faults(0);
    clock_.advance_ms(11'000);
    faults_when_well_ = env_.faults();
  }

  void insert() {
    const std::string key = any_key();
    std::string body = key + "#" + std::to_string(step_);
    body.append(draw(4) == 0 ? draw(40'000) : draw(300), 'x');
    if (!roomy_ || draw(2) == 0) body += base::random_hex(static_cast<size_t>(draw(roomy_ ? 500 : 25'000)));
    const int64_t ttl_ms = draw(5) == 0 ? 2000 : 10'000'000;
    store_->insert(cache::make_entry(key, body, clock_, ttl_ms));
    KeyModel& model = keys_[key];
    model.allowed.push_back({.step = step_, .body = body, .expires_ms = clock_.unix_ms() + ttl_ms});
    model.current = body;
    model.flushed.reset();
  }

  void flush() {
    store_->flush();
    if (env_.faults() != faults_when_well_) return;  // promises nothing
    for (auto& [key, model] : keys_) {
      if (model.erased_at > 0)
        std::erase_if(model.allowed, [&](const Version& version) { return version.step < model.erased_at; });
      model.erased_at = 0;
      const bool is_there = model.current && !model.current->empty();
      if (roomy_ && is_there && env_.faults() == faults_at_open_) model.flushed = model.allowed.back();
    }
  }

  void erase() {
    const std::string key = any_key();
    store_->erase(key);
    KeyModel& model = keys_[key];
    model.current = "";
    model.flushed.reset();
    model.erased_at = step_;
  }

  void purge() {
    const std::string key = any_key();
    const cache::PurgeFilter filters[] = {{.key = key}, {.key = key.substr(0, 2) + "*"}, {.scope = "u-1"}};
    const cache::PurgeFilter filter = filters[draw(10) == 0 ? 2 : draw(2)];
    const uint64_t failed_before = env_.failed_removals();
    store_->purge(filter);
    const bool durable = env_.failed_removals() == failed_before;
    for (auto& [name, model] : keys_) {
      if (filter.scope.empty() && name != key && (!filter.key.ends_with('*') || !name.starts_with(key.substr(0, 2))))
        continue;
      model.current = "";
      model.flushed.reset();
      if (durable) model.allowed.clear();
    }
    if (env_.faults() != faults_at_open_) forget_flushed();  // it may have emptied the tier
  }

  void check(const std::string& key) {
    cache::Found found = store_->find(key);
    if (!found.entry && found.reason == cache::MissReason::kOnDisk) found.entry = store_->load(key);
    const std::string body(found.entry ? found.entry->body.view() : std::string_view());
    KeyModel& model = keys_[key];
    const std::string where = fmt::format("seed {}, step {}, key {}, got '{}'", seed_, step_, key, shortened(body));
    if (!body.empty()) {
      const auto is_served = [&](const Version& version) {
        return version.body == body && version.expires_ms > clock_.unix_ms();
      };
      EXPECT_TRUE(std::any_of(model.allowed.begin(), model.allowed.end(), is_served)) << where;
      const bool is_current = !model.current || body == *model.current;
      EXPECT_TRUE(is_current) << where << ", in this run " << shortened(model.current.value_or("any"));
    }
    // While the log is scanned, a miss is right.
    if (!scanned_ || !model.flushed || env_.faults() != faults_at_open_) return;
    const bool is_there = body == model.flushed->body || model.flushed->expires_ms <= clock_.unix_ms();
    EXPECT_TRUE(is_there) << where << ", flushed " << shortened(model.flushed->body);
  }

  void check_all() {
    for (int i = 0; i < 20; ++i) check("k" + std::to_string(i));
  }

  void forget_flushed() {
    for (auto& [key, model] : keys_) model.flushed.reset();
  }

  void restart() {
    store_.reset();
    pool_.drain();
    after_the_run();
  }

  void crash() {
    env_.crash();
    store_.reset();
    pool_.drain();
    env_.revive();
    after_the_run();
  }

  void after_the_run() {
    if (env_.faults() != faults_at_open_) forget_flushed();
    env_.set_faults(0);
    faults_at_open_ = faults_when_well_ = env_.faults();
    for (auto& [key, model] : keys_) {
      model.current.reset();
      model.erased_at = 0;  // if it was not flushed, it may not have happened
    }
    store_ = cache::ResponseStore::open(options_, files(), clock_, pool_, metrics_);
    scanned_ = draw(2) == 0;
    if (!scanned_) return;  // go on beside the scan
    pool_.drain();
    check_all();
  }

  const uint64_t seed_;
  std::mt19937_64 random_;
  cache::TemporaryDirectory directory_;
  CrashEnv env_;
  base::FakeClock clock_;
  base::Metrics metrics_;
  std::unique_ptr<base::Env> sealed_;  // over env_; null: plain
  base::WorkerPool pool_{{.threads = 2, .queue_limit = 4096}};
  cache::ResponseStore::Options options_;
  bool roomy_ = true, with_faults_ = false, scanned_ = true;
  uint64_t faults_at_open_ = 0;
  uint64_t faults_when_well_ = 0;
  uint64_t step_ = 0;
  std::map<std::string, KeyModel> keys_;
  std::unique_ptr<cache::ResponseStore> store_;
};

constexpr int kStoreSteps = 400;

TEST(StoreCrash, NothingWrongOrPurgedIsServedAfterAnyCrash) {
  run_seeds<ResponseWorkload>(Disk::kPlain, kStoreSteps);
}
TEST(StoreCrash, NothingWrongOrPurgedIsServedAfterAnyCrashOfASealedStore) {
  run_seeds<ResponseWorkload>(Disk::kSealed, kStoreSteps);
}

}  // namespace
}  // namespace payonce::crash
