#include "cache/response_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <map>
#include <string>
#include <thread>
#include <vector>

#include "cache/store_fixture.h"

namespace payonce::cache {
namespace {

std::string big(char fill, size_t size) {  // does not compress to nothing
  std::string out;
  for (size_t i = 0; out.size() < size; ++i) out += base::hex(base::sha256(std::to_string(i) + fill));
  out.resize(size);
  return out;
}

std::vector<std::string> keys_of(const std::vector<EntryInfo>& infos) {
  std::vector<std::string> keys;
  for (const EntryInfo& info : infos) keys.push_back(info.key);
  return keys;
}

TEST(ResponseStore, EveryFieldComesBackAfterARestart) {
  StoreFixture f;
  const auto entry = make_entry("resp:v1:u-1:aa", "data: 1\n\n", f.clock);
  f.store->insert(entry);
  f.reopen();
  EXPECT_EQ(f.store->find("resp:v1:u-1:aa").reason, MissReason::kOnDisk);
  const EntryPtr got = f.store->load("resp:v1:u-1:aa");
  ASSERT_NE(got, nullptr);
  EXPECT_EQ(got->key, entry->key);
  EXPECT_EQ(got->scope, entry->scope);
  EXPECT_EQ(got->versions, entry->versions);
  EXPECT_EQ(got->model, entry->model);
  EXPECT_EQ(got->dialect, entry->dialect);
  EXPECT_EQ(got->form, entry->form);
  EXPECT_EQ(got->include_usage, entry->include_usage);
  EXPECT_EQ(got->content_type, entry->content_type);
  EXPECT_EQ(got->body.view(), entry->body.view());
  EXPECT_EQ(got->pace_ms, entry->pace_ms);
  EXPECT_EQ(got->pace_offset, entry->pace_offset);
  EXPECT_EQ(got->usage.write_long, 4);
  EXPECT_EQ(got->usage.output, 5);
  EXPECT_TRUE(got->usage.known);
  EXPECT_EQ(got->cost_usd, entry->cost_usd);
  EXPECT_EQ(got->created_ms, entry->created_ms);
  EXPECT_EQ(got->expires_ms, entry->expires_ms);
  EXPECT_EQ(f.store->find("resp:v1:u-1:aa").entry, got) << "load() promotes";
}

TEST(ResponseStore, TheMissSaysWhy) {
  StoreFixture f;
  EXPECT_EQ(f.store->find("k").reason, MissReason::kCold);
  f.store->insert(make_entry("k", "x", f.clock, 1000));
  f.store->insert(make_entry("d", "x", f.clock, 1000));
  f.reopen();
  EXPECT_NE(f.get("k"), nullptr);
  f.clock.advance_ms(1000);
  EXPECT_EQ(f.store->find("k").reason, MissReason::kExpired) << "in memory";
  EXPECT_EQ(f.store->find("d").reason, MissReason::kExpired) << "on disk only";
  EXPECT_EQ(f.store->find("k").reason, MissReason::kCold);
}

TEST(ResponseStore, AnExpiredReplacementDoesNotBringTheOlderAnswerBack) {
  StoreFixture f;
  f.store->insert(make_entry("k", "old", f.clock, 1'000'000));
  f.store->insert(make_entry("k", "new", f.clock, 1000));
  f.store->flush();
  f.clock.advance_ms(2000);
  f.reopen();
  EXPECT_EQ(f.body("k"), "");
}

TEST(ResponseStore, AnAnswerOverTheLimitIsNotStoredAndEndsTheOneBefore) {
  StoreFixture f({.entry_limit_bytes = 100});
  f.store->insert(make_entry("k", "the older one", f.clock));
  f.store->insert(make_entry("k", std::string(101, 'x'), f.clock));
  f.store->insert(make_entry("l", std::string(100, 'x'), f.clock));
  EXPECT_EQ(f.get("k"), nullptr);
  EXPECT_NE(f.get("l"), nullptr);
}

TEST(ResponseStore, WithoutADirectoryItKeepsAnswersInMemoryOnly) {
  StoreFixture f;
  f.options.directory.clear();
  f.reopen();
  f.store->insert(make_entry("k", "x", f.clock));
  EXPECT_EQ(f.body("k"), "x");
  f.store->flush();
  f.reopen();
  EXPECT_EQ(f.body("k"), "");
}

TEST(ResponseStore, TheNewerOfTwoRecordsIsServedAcrossRestarts) {
  StoreFixture f;
  for (const char* body : {"one", "two", "three"}) {
    f.store->insert(make_entry("k", body, f.clock));
    f.reopen();
    EXPECT_EQ(f.body("k"), body);
  }
}

TEST(ResponseStore, WhatWasErasedStaysAwayAfterARestart) {
  StoreFixture f;
  f.store->insert(make_entry("k", "x", f.clock));
  f.store->flush();
  EXPECT_TRUE(f.store->erase("k"));
  EXPECT_FALSE(f.store->erase("k"));
  EXPECT_EQ(f.body("k"), "");
  f.reopen();
  EXPECT_EQ(f.body("k"), "");
  f.store->insert(make_entry("k", "y", f.clock));
  f.reopen();
  EXPECT_EQ(f.body("k"), "y") << "an insertion after the erasure counts";
}

TEST(ResponseStore, EachPartOfAPurgeFilterNarrowsIt) {
  StoreFixture f;
  const auto put = [&](const std::string& key, const std::string& scope, const std::string& versions,
                       const std::string& model) {
    auto entry = make_entry(key, "x", f.clock);
    entry->scope = scope;
    entry->versions = versions;
    entry->model = model;
    f.store->insert(entry);
  };
  const auto fill = [&] {
    put("a:1", "u-1", "tools=v3", "m");
    put("a:2", "u-2", "kb=1,tools=v3", "m");
    put("b:1", "u-1", "tools=v30", "n");
  };
  const auto left_after = [&](const PurgeFilter& filter, uint64_t count) {
    fill();
    f.store->flush();
    EXPECT_EQ(f.store->purge(filter), count);
    f.reopen();
    auto keys = keys_of(f.store->list({}, 10));
    std::sort(keys.begin(), keys.end());
    return keys;
  };
  using testing::ElementsAre;
  EXPECT_THAT(left_after({.key = "a:1"}, 1), ElementsAre("a:2", "b:1"));
  EXPECT_THAT(left_after({.key = "a:*"}, 2), ElementsAre("b:1"));
  EXPECT_THAT(left_after({.scope = "u-1"}, 2), ElementsAre("a:2"));
  EXPECT_THAT(left_after({.version = "tools=v3"}, 2), ElementsAre("b:1"));
  EXPECT_THAT(left_after({.model = "n"}, 1), ElementsAre("a:1", "a:2"));
  EXPECT_THAT(left_after({.key = "a:*", .scope = "u-2"}, 1), ElementsAre("a:1", "b:1"));
  EXPECT_THAT(left_after({}, 3), ElementsAre());
}

TEST(ResponseStore, APurgeByAgeSparesWhatIsYounger) {
  StoreFixture f;
  f.store->insert(make_entry("old", "x", f.clock));
  f.clock.advance_ms(10'000);
  f.store->insert(make_entry("young", "y", f.clock));
  EXPECT_EQ(f.store->purge({.older_than_s = 5}), 1u);
  f.clock.advance_ms(10'000);
  f.reopen();
  EXPECT_EQ(f.body("old"), "");
  EXPECT_EQ(f.body("young"), "y") << "the age is as of the purge, not of the restart";
}

TEST(ResponseStore, APurgeCountsAnEntryInBothTiersOnce) {
  StoreFixture f;
  f.store->insert(make_entry("k", "x", f.clock));
  f.store->flush();
  EXPECT_EQ(f.store->purge({.scope = "u-1"}), 1u);
  EXPECT_EQ(f.store->stats().memory_entries, 0u);
  EXPECT_EQ(f.store->stats().disk_entries, 0u);
}

TEST(ResponseStore, TheListShowsTheNewestFirstAndWhereTheyAre) {
  StoreFixture f;
  for (int i = 0; i < 50; ++i) {
    f.clock.advance_ms(1);
    f.store->insert(make_entry("k" + std::to_string(i), "body", f.clock));
  }
  f.reopen();
  EXPECT_NE(f.get("k49"), nullptr);
  EXPECT_NE(f.get("k49"), nullptr);
  const std::vector<EntryInfo> infos = f.store->list({.key = "k*"}, 3);
  EXPECT_THAT(keys_of(infos), testing::ElementsAre("k49", "k48", "k47"));
  EXPECT_TRUE(infos[0].in_memory && infos[0].on_disk);
  EXPECT_FALSE(infos[1].in_memory);
  EXPECT_EQ(infos[0].size_bytes, 4u);
  EXPECT_EQ(infos[1].size_bytes, 4u);
  EXPECT_EQ(infos[0].hits, 2u) << "one from disk, one from memory";
}

TEST(ResponseStore, TheDiskTierStaysWithinItsBytes) {
  StoreFixture f({.memory_bytes = 0, .disk_bytes = 4u << 20});
  for (int i = 0; i < 100; ++i) {
    f.store->insert(make_entry("k" + std::to_string(i), big(static_cast<char>(i), 200'000), f.clock));
    f.store->flush();
    EXPECT_LE(f.store->stats().disk_bytes, 4u << 20);
  }
  EXPECT_EQ(f.get("k0"), nullptr);
  EXPECT_NE(f.get("k99"), nullptr);
  const uint64_t entries = f.store->stats().disk_entries;
  EXPECT_GT(entries, 10u);
  EXPECT_EQ(f.store->stats().evictions, 100 - entries);
  f.reopen();
  EXPECT_EQ(f.store->stats().disk_entries, entries);
}

TEST(ResponseStore, ASecondStoreOnTheDirectoryRunsWithoutTheDisk) {
  StoreFixture f;
  f.store->insert(make_entry("k", "x", f.clock));
  f.store->flush();
  const auto second = ResponseStore::open(f.options, f.env, f.clock, f.pool, f.metrics);
  f.pool.drain();
  EXPECT_EQ(second->find("k").reason, MissReason::kCold);
  EXPECT_EQ(second->stats().faults, 1u);
  second->insert(make_entry("l", "y", f.clock));
  EXPECT_NE(second->find("l").entry, nullptr);
  f.reopen();
  EXPECT_EQ(f.body("k"), "x");
  EXPECT_EQ(f.body("l"), "");
}

TEST(ResponseStore, AFullQueueDropsTheWriteAndNeverServesTheOlderAnswer) {
  StoreFixture f({.memory_bytes = 0});
  f.store->insert(make_entry("k", "old", f.clock));
  f.store->flush();
  EXPECT_EQ(f.body("k"), "old");
  f.pool.drain();
  std::mutex gate;
  gate.lock();  // both pool threads wait here: nothing is written
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(f.pool.post([&] { const std::lock_guard wait(gate); }));
  for (int i = 0; i < 1024; ++i) f.store->insert(make_entry("fill" + std::to_string(i), "x", f.clock));
  f.store->insert(make_entry("k", "new", f.clock));
  EXPECT_EQ(f.body("k"), "");
  EXPECT_EQ(f.metrics.counter("payonce_dropped_writes_total").value(), 1);
  gate.unlock();
  f.store->flush();
  EXPECT_EQ(f.body("k"), "");
  EXPECT_EQ(f.body("fill1023"), "x");
}

TEST(ResponseStore, AnInsertionQueuedBeforeAPurgeIsNotWrittenAfterIt) {
  StoreFixture f({.memory_bytes = 0});
  f.pool.drain();
  std::mutex gate;
  gate.lock();
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(f.pool.post([&] { const std::lock_guard wait(gate); }));
  f.store->insert(make_entry("k", "x", f.clock));
  f.store->insert(make_entry("l", "first", f.clock));
  f.store->purge({.key = "k"});
  f.store->erase("l");
  f.store->insert(make_entry("l", "second", f.clock));
  gate.unlock();
  f.store->flush();
  EXPECT_EQ(f.body("k"), "");
  EXPECT_EQ(f.body("l"), "second");
  f.reopen();
  EXPECT_EQ(f.body("k"), "");
  EXPECT_EQ(f.body("l"), "second");
}

TEST(ResponseStore, WhatIsInsertedOrPurgedWhileTheLogIsScannedWins) {
  StoreFixture f;
  for (int i = 0; i < 100; ++i) f.store->insert(make_entry("k" + std::to_string(i), "old", f.clock));
  f.store.reset();
  f.pool.drain();
  std::mutex gate;
  gate.lock();  // the scan stands behind these in the pool
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(f.pool.post([&] { const std::lock_guard wait(gate); }));
  f.store = ResponseStore::open(f.options, f.env, f.clock, f.pool, f.metrics);
  EXPECT_EQ(f.store->find("k5").reason, MissReason::kCold);
  f.store->insert(make_entry("k1", "new", f.clock));
  f.store->erase("k2");
  f.store->purge({.key = "k3*"});
  gate.unlock();
  f.pool.drain();
  const auto check = [&] {
    EXPECT_EQ(f.body("k1"), "new");
    EXPECT_EQ(f.body("k2"), "");
    EXPECT_EQ(f.body("k3"), "");
    EXPECT_EQ(f.body("k33"), "");
    EXPECT_EQ(f.body("k5"), "old");
  };
  check();
  f.reopen();
  check();
}

TEST(ResponseStore, SegmentsInWhichNothingIsAliveAreDeleted) {
  StoreFixture f;
  for (int i = 0; i < 3; ++i) {
    f.store->insert(make_entry("k" + std::to_string(i), big('x', 10'000), f.clock, 1000));
    f.reopen();
  }
  const uint64_t before = f.store->stats().disk_bytes;
  f.clock.advance_ms(2000);
  f.reopen();
  EXPECT_LT(f.store->stats().disk_bytes, before);
  EXPECT_EQ(f.store->stats().disk_entries, 0u);
}

TEST(ResponseStore, GaugesFollowTheTiers) {
  StoreFixture f;
  f.store->insert(make_entry("k", "x", f.clock));
  f.store->flush();
  EXPECT_EQ(f.metrics.gauge("payonce_entries", {{"layer", "exact"}}).value(), 1);
  EXPECT_EQ(f.metrics.gauge("payonce_entries", {{"layer", "exact_disk"}}).value(), 1);
  EXPECT_GT(f.metrics.gauge("payonce_bytes", {{"layer", "exact_disk"}}).value(), 100);
  f.store->purge({});
  EXPECT_EQ(f.metrics.gauge("payonce_entries", {{"layer", "exact"}}).value(), 0);
  EXPECT_EQ(f.metrics.counter("payonce_evictions_total", {{"layer", "exact"}, {"reason", "purged"}}).value(), 1);
}

// With room for everything and no faults the store is a map with expiry, across restarts.
TEST(ResponseStore, BehavesAsAMapAcrossRestarts) {
  const bool ok = rc::check([] {
    StoreFixture f({.memory_bytes = *rc::gen::element<uint64_t>(0, 3000, 1u << 20), .entry_limit_bytes = 1000});
    std::map<std::string, EntryPtr> model;
    const int steps = *rc::gen::inRange(1, 120);
    for (int i = 0; i < steps; ++i) {
      const std::string key = "k" + std::to_string(*rc::gen::inRange(0, 12));
      const int op = *rc::gen::inRange(0, 12);
      RC_LOG() << i << " op " << op << " " << key << "\n";
      switch (op) {
        case 0:
          f.store->erase(key);
          model.erase(key);
          break;
        case 1: {
          const std::string prefix = key.substr(0, 2);
          f.store->purge({.key = prefix + "*"});
          std::erase_if(model, [&](const auto& item) { return item.first.starts_with(prefix); });
          break;
        }
        case 2: f.reopen(); break;
        case 3: f.clock.advance_ms(*rc::gen::inRange(0, 2000)); break;
        case 4:
        case 5:
        case 6: {
          const auto entry = make_entry(key, std::to_string(i), f.clock, *rc::gen::inRange(1, 5000));
          f.store->insert(entry);
          model[key] = entry;
          break;
        }
        default: {
          f.store->flush();
          const auto at = model.find(key);
          const bool there = at != model.end() && at->second->expires_ms > f.clock.unix_ms();
          RC_ASSERT(f.body(key) == (there ? std::string(at->second->body.view()) : std::string()));
        }
      }
    }
  });
  EXPECT_TRUE(ok);
}

TEST(ResponseStore, ManyThreadsMayDoEverythingAtOnce) {
  StoreFixture f({.memory_bytes = 200'000, .entry_limit_bytes = 20'000, .disk_bytes = 2u << 20});
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 300; ++i) {
        const std::string key = "k" + std::to_string((i * 7 + t * 13) % 50);
        if (i % 3 == 0) f.store->insert(make_entry(key, key + big('x', 5000), f.clock));
        if (i % 40 == 0) f.store->purge({.key = key});
        if (i % 50 == 0) f.store->flush();
        if (i % 60 == 0) (void)f.store->list({}, 10);
        const std::string body = f.body(key);
        if (!body.empty() && !body.starts_with(key)) wrong = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_EQ(f.store->stats().faults, 0u);
  f.store->purge({});
  f.reopen();
  EXPECT_EQ(f.store->stats().disk_entries, 0u);
}

}  // namespace
}  // namespace payonce::cache
