#include "cache/memory_tier.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace payonce::cache {
namespace {

struct HashedKey {
  base::Hash128 hash;
  std::string_view text;  // of the node's entry
  bool operator==(const HashedKey&) const = default;
};
struct HashedKeyHasher {
  size_t operator()(const HashedKey& key) const { return static_cast<size_t>(key.hash.high); }
};

// Micro-dollars per byte. The floor of one micro-dollar orders entries of unknown price by frequency / size.
double value_of(const Entry& entry) {
  const double micro_usd = std::isfinite(entry.cost_usd) ? std::clamp(entry.cost_usd * 1e6, 0.0, 1e12) : 0.0;
  return (micro_usd + 1.0) / static_cast<double>(entry.charged_bytes());
}

size_t shards_for(const MemoryTier::Options& options) {
  const uint64_t at_most = options.capacity_bytes / std::max<uint64_t>(1, 4 * options.entry_limit_bytes);
  return static_cast<size_t>(std::clamp<uint64_t>(at_most, 1, std::max<uint64_t>(1, options.shards)));
}

}  // namespace

struct MemoryTier::Node {
  EntryPtr entry;
  uint64_t bytes = 0;
  double value = 0;
  uint64_t hits = 0;
  double priority = 0;
  uint64_t arrival = 0;  // among equals the oldest goes first
};

struct MemoryTier::Shard {
  struct Lower {
    bool operator()(const Node* a, const Node* b) const {
      return a->priority != b->priority ? a->priority < b->priority : a->arrival < b->arrival;
    }
  };
  using Map = std::unordered_map<HashedKey, Node, HashedKeyHasher>;

  void rank(Node& node) { node.priority = inflation + static_cast<double>(node.hits + 1) * node.value; }

  void touch(Node& node) {
    auto handle = queue.extract(&node);  // keeps its memory: a hit does not allocate
    ++node.hits;
    rank(node);
    queue.insert(std::move(handle));
  }

  EntryPtr remove(Map::iterator at) {
    queue.erase(&at->second);
    bytes -= at->second.bytes;
    EntryPtr entry = std::move(at->second.entry);
    map.erase(at);
    return entry;
  }

  mutable std::mutex mutex;
  Map map;                       // guarded by mutex; so is all below
  std::set<Node*, Lower> queue;  // lowest priority first
  double inflation = 0;          // GDSF's L
  uint64_t bytes = 0;
  uint64_t arrivals = 0;
  uint64_t changes = 0;  // insertions and erasures: see ticket()
};

MemoryTier::MemoryTier(Options options)
    : shard_count_(shards_for(options)),
      shard_capacity_(options.capacity_bytes / shard_count_),
      shards_(std::make_unique<Shard[]>(shard_count_)) {}
MemoryTier::~MemoryTier() = default;

MemoryTier::Shard& MemoryTier::shard_of(const base::Hash128& hash) const { return shards_[hash.low % shard_count_]; }

MemoryTier::Look MemoryTier::find(std::string_view key, int64_t now_ms) {
  const base::Hash128 hash = hash_(key);
  Shard& shard = shard_of(hash);
  EntryPtr expired;  // declared before the lock: freed after it
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.map.find({hash, key});
  if (at == shard.map.end()) return {};
  if (at->second.entry->expires_ms > now_ms) {
    shard.touch(at->second);
    return {.entry = at->second.entry, .expired = false};
  }
  entries_.fetch_sub(1, std::memory_order_relaxed);
  bytes_.fetch_sub(at->second.bytes, std::memory_order_relaxed);
  expired = shard.remove(at);
  return {.entry = nullptr, .expired = true};
}

void MemoryTier::insert(EntryPtr entry) {
  const base::Hash128 hash = hash_(entry->key);
  Shard& shard = shard_of(hash);
  std::vector<EntryPtr> freed;
  const std::lock_guard lock(shard.mutex);
  ++shard.changes;
  insert_locked(shard, hash, std::move(entry), freed);
}

uint64_t MemoryTier::ticket(std::string_view key) const {
  const Shard& shard = shard_of(hash_(key));
  const std::lock_guard lock(shard.mutex);
  return shard.changes;
}

void MemoryTier::promote(EntryPtr entry, uint64_t ticket) {
  const base::Hash128 hash = hash_(entry->key);
  Shard& shard = shard_of(hash);
  std::vector<EntryPtr> freed;
  const std::lock_guard lock(shard.mutex);
  if (shard.changes == ticket) insert_locked(shard, hash, std::move(entry), freed);
}

void MemoryTier::insert_locked(Shard& shard, const base::Hash128& hash, EntryPtr entry,
                               std::vector<EntryPtr>& freed) {
  const uint64_t size = entry->charged_bytes();
  const uint64_t entries_before = shard.map.size();
  const uint64_t bytes_before = shard.bytes;
  if (const auto at = shard.map.find({hash, entry->key}); at != shard.map.end()) freed.push_back(shard.remove(at));
  if (size <= shard_capacity_) {
    while (shard.bytes + size > shard_capacity_) {
      const Node& lowest = **shard.queue.begin();
      shard.inflation = lowest.priority;
      freed.push_back(shard.remove(shard.map.find({hash_(lowest.entry->key), lowest.entry->key})));
      evicted_.fetch_add(1, std::memory_order_relaxed);
    }
    const HashedKey key{hash, entry->key};  // the text lives as long as the node: the entry is immutable
    const double value = value_of(*entry);
    Node& node =
        shard.map
            .emplace(key, Node{.entry = std::move(entry), .bytes = size, .value = value, .arrival = ++shard.arrivals})
            .first->second;
    shard.rank(node);
    shard.queue.insert(&node);
    shard.bytes += size;
  }
  entries_.fetch_add(shard.map.size() - entries_before, std::memory_order_relaxed);  // modulo 2^64: may go down
  bytes_.fetch_add(shard.bytes - bytes_before, std::memory_order_relaxed);
}

bool MemoryTier::erase(std::string_view key) {
  const base::Hash128 hash = hash_(key);
  Shard& shard = shard_of(hash);
  EntryPtr freed;
  const std::lock_guard lock(shard.mutex);
  ++shard.changes;
  const auto at = shard.map.find({hash, key});
  if (at == shard.map.end()) return false;
  entries_.fetch_sub(1, std::memory_order_relaxed);
  bytes_.fetch_sub(at->second.bytes, std::memory_order_relaxed);
  freed = shard.remove(at);
  return true;
}

uint64_t MemoryTier::erase_if(const std::function<bool(const Entry&)>& matches) {
  uint64_t count = 0;
  for (size_t i = 0; i < shard_count_; ++i) {
    Shard& shard = shards_[i];
    std::vector<EntryPtr> freed;
    {
      const std::lock_guard lock(shard.mutex);
      ++shard.changes;
      const uint64_t bytes_before = shard.bytes;
      for (auto at = shard.map.begin(); at != shard.map.end();) {
        const auto here = at++;
        if (matches(*here->second.entry)) freed.push_back(shard.remove(here));
      }
      entries_.fetch_sub(freed.size(), std::memory_order_relaxed);
      bytes_.fetch_sub(bytes_before - shard.bytes, std::memory_order_relaxed);
    }
    count += freed.size();
  }
  return count;
}

void MemoryTier::for_each(const std::function<void(const EntryPtr&, uint64_t hits)>& visit) const {
  for (size_t i = 0; i < shard_count_; ++i) {
    const Shard& shard = shards_[i];
    const std::lock_guard lock(shard.mutex);
    for (const auto& [key, node] : shard.map) visit(node.entry, node.hits);
  }
}

}  // namespace payonce::cache
