#include "cache/memory_tier.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <atomic>
#include <map>
#include <string>
#include <thread>

namespace payonce::cache {
namespace {

std::shared_ptr<Entry> sized_entry(const std::string& key, size_t body_bytes, double cost_usd = 0) {
  auto entry = std::make_shared<Entry>();
  entry->key = key;
  entry->body = base::Bytes(std::string(body_bytes, 'x'));
  entry->cost_usd = cost_usd;
  entry->expires_ms = 1000;
  return entry;
}

uint64_t charge(size_t key_size, size_t body_bytes) {
  return sized_entry(std::string(key_size, 'k'), body_bytes)->charged_bytes();
}

TEST(MemoryTier, AnEntryIsFoundUntilItExpires) {
  MemoryTier tier({});
  tier.insert(sized_entry("a", 10));
  EXPECT_EQ(tier.find("a", 999).entry->key, "a");
  const MemoryTier::Look look = tier.find("a", 1000);
  EXPECT_EQ(look.entry, nullptr);
  EXPECT_TRUE(look.expired);
  EXPECT_FALSE(tier.find("a", 1000).expired) << "it was dropped by the look before";
  EXPECT_EQ(tier.entries(), 0u);
  EXPECT_EQ(tier.bytes(), 0u);
}

TEST(MemoryTier, InsertReplacesAndCountsTheBytesOnce) {
  MemoryTier tier({});
  tier.insert(sized_entry("a", 10));
  tier.insert(sized_entry("a", 20));
  EXPECT_EQ(tier.find("a", 0).entry->body.size(), 20u);
  EXPECT_EQ(tier.entries(), 1u);
  EXPECT_EQ(tier.bytes(), charge(1, 20));
}

TEST(MemoryTier, TheDearerOfTwoEquallyLargeEntriesStays) {
  MemoryTier tier({.capacity_bytes = 2 * charge(1, 100), .entry_limit_bytes = 1000, .shards = 1});
  tier.insert(sized_entry("d", 100, 0.5));
  tier.insert(sized_entry("c", 100, 0.001));
  tier.insert(sized_entry("n", 100, 0.01));
  EXPECT_NE(tier.find("d", 0).entry, nullptr);
  EXPECT_NE(tier.find("n", 0).entry, nullptr);
  EXPECT_EQ(tier.find("c", 0).entry, nullptr);
  EXPECT_EQ(tier.take_evicted(), 1u);
}

TEST(MemoryTier, TheOftenReadOfTwoEntriesOfUnknownPriceStays) {
  MemoryTier tier({.capacity_bytes = 2 * charge(1, 100), .entry_limit_bytes = 1000, .shards = 1});
  tier.insert(sized_entry("h", 100));
  tier.insert(sized_entry("c", 100));
  for (int i = 0; i < 3; ++i) (void)tier.find("h", 0);
  tier.insert(sized_entry("n", 100));
  EXPECT_NE(tier.find("h", 0).entry, nullptr);
  EXPECT_EQ(tier.find("c", 0).entry, nullptr);
}

TEST(MemoryTier, WhatWasOnceReadOftenAgesAway) {
  MemoryTier tier({.capacity_bytes = 2 * charge(1, 100), .entry_limit_bytes = 1000, .shards = 1});
  tier.insert(sized_entry("h", 100));
  for (int i = 0; i < 5; ++i) (void)tier.find("h", 0);
  for (int i = 0; i < 10; ++i) tier.insert(sized_entry(std::string(1, static_cast<char>('0' + i)), 100));
  EXPECT_EQ(tier.find("h", 0).entry, nullptr);
}

TEST(MemoryTier, AnEntryLargerThanAShardIsNotKeptAndEvictsNothing) {
  MemoryTier tier({.capacity_bytes = 2000, .entry_limit_bytes = 1000, .shards = 64});
  EXPECT_EQ(tier.shard_count(), 1u);
  tier.insert(sized_entry("a", 100));
  tier.insert(sized_entry("b", 5000));
  EXPECT_NE(tier.find("a", 0).entry, nullptr);
  EXPECT_EQ(tier.find("b", 0).entry, nullptr);
}

TEST(MemoryTier, AShardHoldsAtLeastFourEntriesOfTheLimit) {
  const auto shards = [](uint64_t capacity, uint64_t limit, size_t wanted) {
    return MemoryTier({.capacity_bytes = capacity, .entry_limit_bytes = limit, .shards = wanted}).shard_count();
  };
  EXPECT_EQ(shards(256u << 20, 8u << 20, 64), 8u);
  EXPECT_EQ(shards(256u << 20, 1u << 20, 16), 16u);
  EXPECT_EQ(shards(0, 0, 0), 1u);
}

TEST(MemoryTier, APromotionIsDroppedWhenThePurgeCameBetween) {
  MemoryTier tier({});
  const uint64_t before = tier.ticket("a");
  EXPECT_FALSE(tier.erase("a"));
  tier.promote(sized_entry("a", 10), before);
  EXPECT_EQ(tier.find("a", 0).entry, nullptr);
  tier.promote(sized_entry("a", 10), tier.ticket("a"));
  EXPECT_NE(tier.find("a", 0).entry, nullptr);
}

// The tier beside a list of nodes that is searched from end to end.
class NaiveGdsf {
 public:
  explicit NaiveGdsf(uint64_t capacity) : capacity_(capacity) {}
  bool find(const std::string& key, int64_t now_ms) {
    const auto at = nodes_.find(key);
    if (at == nodes_.end()) return false;
    if (at->second.entry->expires_ms <= now_ms) return nodes_.erase(at), false;
    ++at->second.frequency;
    rank(at->second);
    return true;
  }
  void insert(EntryPtr entry) {
    nodes_.erase(entry->key);
    if (entry->charged_bytes() > capacity_) return;
    while (bytes() + entry->charged_bytes() > capacity_) {
      auto lowest = nodes_.begin();
      const auto rank_of = [](const Node& node) { return std::pair(node.priority, node.arrival); };
      for (auto at = nodes_.begin(); at != nodes_.end(); ++at) {
        if (rank_of(at->second) < rank_of(lowest->second)) lowest = at;
      }
      inflation_ = lowest->second.priority;
      nodes_.erase(lowest);
    }
    Node& node = nodes_[entry->key];
    node = {.entry = std::move(entry), .frequency = 1, .priority = 0, .arrival = ++arrivals_};
    rank(node);
  }
  void erase(const std::string& key) { nodes_.erase(key); }
  uint64_t bytes() const {
    uint64_t sum = 0;
    for (const auto& [key, node] : nodes_) sum += node.entry->charged_bytes();
    return sum;
  }
  uint64_t entries() const { return nodes_.size(); }

 private:
  struct Node {
    EntryPtr entry;
    uint64_t frequency = 0;
    double priority = 0;
    uint64_t arrival = 0;
  };
  void rank(Node& node) const {
    const auto size = static_cast<double>(node.entry->charged_bytes());
    node.priority = inflation_ + static_cast<double>(node.frequency) * ((node.entry->cost_usd * 1e6 + 1) / size);
  }
  const uint64_t capacity_;
  std::map<std::string, Node> nodes_;
  double inflation_ = 0;
  uint64_t arrivals_ = 0;
};

TEST(MemoryTier, BehavesAsTheNaiveModel) {
  const bool ok = rc::check([] {
    const uint64_t capacity = 10'000;
    MemoryTier tier({.capacity_bytes = capacity, .entry_limit_bytes = 10'000, .shards = 1});
    NaiveGdsf model(capacity);
    int64_t now_ms = 0;
    const int steps = *rc::gen::inRange(1, 200);
    for (int i = 0; i < steps; ++i) {
      const std::string key(1, *rc::gen::inRange('a', 'z'));
      switch (*rc::gen::inRange(0, 8)) {
        case 0:
          model.erase(key);
          tier.erase(key);
          break;
        case 1: now_ms += *rc::gen::inRange(0, 20); break;
        case 2:
        case 3:
        case 4: {
          const auto entry = sized_entry(key, *rc::gen::inRange<size_t>(0, 11'000), *rc::gen::inRange(0, 4) * 0.01);
          entry->expires_ms = now_ms + *rc::gen::inRange(0, 300);
          tier.insert(entry);
          model.insert(entry);
          break;
        }
        default: RC_ASSERT((tier.find(key, now_ms).entry != nullptr) == model.find(key, now_ms));
      }
      RC_ASSERT(tier.bytes() == model.bytes());
      RC_ASSERT(tier.entries() == model.entries());
    }
  });
  EXPECT_TRUE(ok);
}

TEST(MemoryTier, ManyThreadsNeverExceedTheCapacity) {
  const uint64_t capacity = 400'000;
  MemoryTier tier({.capacity_bytes = capacity, .entry_limit_bytes = 10'000, .shards = 8});
  std::atomic<bool> wrong{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5000; ++i) {
        const std::string key = std::to_string((i * 7 + t * 13) % 200);
        if (i % 3 == 0) tier.insert(sized_entry(key, 1000 + static_cast<size_t>(i % 5000)));
        if (i % 50 == 0) tier.erase(key);
        const EntryPtr found = tier.find(key, 0).entry;
        if ((found && found->key != key) || tier.bytes() > capacity + 8 * 10'000) wrong = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(wrong);
  EXPECT_LE(tier.bytes(), capacity);
  const uint64_t left = tier.entries();
  EXPECT_EQ(tier.erase_if([](const Entry&) { return true; }), left);
  EXPECT_EQ(tier.bytes(), 0u);
}

}  // namespace
}  // namespace payonce::cache
