#include "cache/disk_index.h"

#include <algorithm>
#include <utility>

namespace payonce::cache {
namespace {

constexpr size_t kShards = 64;

struct Hasher {
  using is_transparent = void;
  const base::KeyedHash* hash = nullptr;
  size_t operator()(std::string_view key) const { return static_cast<size_t>((*hash)(key).high); }
};

}  // namespace

struct DiskIndex::Shard {
  using Map = std::unordered_map<std::string, Slot, Hasher, std::equal_to<>>;
  mutable std::mutex mutex;
  Map slots;  // guarded by mutex
};

DiskIndex::DiskIndex() : shards_(std::make_unique<Shard[]>(kShards)) {
  for (size_t i = 0; i < kShards; ++i) shards_[i].slots = Shard::Map(0, Hasher{&hash_});
}
DiskIndex::~DiskIndex() = default;

DiskIndex::Shard& DiskIndex::shard_of(const base::Hash128& hash) const { return shards_[hash.low % kShards]; }

std::shared_ptr<const Labels> DiskIndex::intern(std::string_view scope, std::string_view versions,
                                                std::string_view model) {
  std::string id;  // with the sizes, so that two triples never read the same
  for (const std::string_view part : {scope, versions, model})
    id.append(std::to_string(part.size())).append(1, ':').append(part);
  const std::lock_guard lock(labels_mutex_);
  std::weak_ptr<const Labels>& known = labels_[id];
  if (auto labels = known.lock()) return labels;
  const auto labels = std::make_shared<const Labels>(
      Labels{.scope = std::string(scope), .versions = std::string(versions), .model = std::string(model)});
  known = labels;
  if (labels_.size() >= labels_sweep_at_) {
    std::erase_if(labels_, [](const auto& item) { return item.second.expired(); });
    labels_sweep_at_ = std::max<size_t>(1024, 2 * labels_.size());
  }
  return labels;
}

std::optional<Slot> DiskIndex::find(std::string_view key) const {
  const Shard& shard = shard_of(hash_(key));
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.slots.find(key);
  if (at == shard.slots.end()) return std::nullopt;
  return at->second;
}

bool DiskIndex::put(std::string_view key, Slot slot) {
  Shard& shard = shard_of(hash_(key));
  const std::lock_guard lock(shard.mutex);
  if (scanning_ && is_purged(key, slot)) return false;
  const auto at = shard.slots.find(key);
  if (at == shard.slots.end()) {
    on_disk_ += slot.on_disk();
    shard.slots.emplace(key, std::move(slot));
    return true;
  }
  if (at->second.sequence >= slot.sequence) return false;
  on_disk_ += uint64_t{slot.on_disk()} - uint64_t{at->second.on_disk()};
  at->second = std::move(slot);
  return true;
}

bool DiskIndex::publish(std::string_view key, uint64_t sequence, const Location& location) {
  Shard& shard = shard_of(hash_(key));
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.slots.find(key);
  if (at == shard.slots.end() || at->second.sequence != sequence) return false;
  at->second.location = location;
  ++on_disk_;
  return true;
}

bool DiskIndex::drop(std::string_view key, uint64_t sequence) {
  Shard& shard = shard_of(hash_(key));
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.slots.find(key);
  if (at == shard.slots.end() || at->second.sequence != sequence) return false;
  remember(key, sequence + 1);
  on_disk_ -= at->second.on_disk();
  shard.slots.erase(at);
  return true;
}

void DiskIndex::count_hit(std::string_view key) {
  Shard& shard = shard_of(hash_(key));
  const std::lock_guard lock(shard.mutex);
  if (const auto at = shard.slots.find(key); at != shard.slots.end()) ++at->second.hits;
}

uint64_t DiskIndex::purge(const Purge& purge, std::unordered_set<std::string>* removed) {
  if (purge.is_one_key()) {
    remember(purge.key, purge.sequence);
  } else {
    if (scanning_) {
      const std::lock_guard lock(purges_mutex_);
      purges_.push_back(purge);
    }
    return erase_if([&](const std::string& key, const Slot& slot) {
      if (slot.sequence >= purge.sequence || !matches(purge, slot.traits(key))) return false;
      if (removed) removed->insert(key);
      return true;
    });
  }
  Shard& shard = shard_of(hash_(purge.key));
  const std::lock_guard lock(shard.mutex);
  const auto at = shard.slots.find(purge.key);
  if (at == shard.slots.end() || at->second.sequence >= purge.sequence) return 0;
  if (removed) removed->insert(purge.key);
  on_disk_ -= at->second.on_disk();
  shard.slots.erase(at);
  return 1;
}

uint64_t DiskIndex::drop_segments_until(uint64_t segment) {
  return erase_if(
      [&](const std::string&, const Slot& slot) { return slot.on_disk() && slot.location.segment <= segment; });
}

uint64_t DiskIndex::drop_expired(int64_t now_ms) {
  return erase_if([&](const std::string&, const Slot& slot) { return slot.expires_ms <= now_ms; });
}

uint64_t DiskIndex::erase_if(const std::function<bool(const std::string&, const Slot&)>& matches) {
  uint64_t count = 0;
  for (size_t i = 0; i < kShards; ++i) {
    const std::lock_guard lock(shards_[i].mutex);
    count += std::erase_if(shards_[i].slots, [&](const auto& item) {
      if (!matches(item.first, item.second)) return false;
      on_disk_ -= item.second.on_disk();
      return true;
    });
  }
  return count;
}

void DiskIndex::for_each(const std::function<void(const std::string&, const Slot&)>& visit) const {
  for (size_t i = 0; i < kShards; ++i) {
    const std::lock_guard lock(shards_[i].mutex);
    for (const auto& [key, slot] : shards_[i].slots) visit(key, slot);
  }
}

void DiskIndex::remember(std::string_view key, uint64_t sequence) {
  if (!scanning_) return;
  const std::lock_guard lock(purges_mutex_);
  uint64_t& known = key_purges_[std::string(key)];
  known = std::max(known, sequence);
}

void DiskIndex::end_scan() {
  scanning_ = false;
  const std::lock_guard lock(purges_mutex_);
  purges_.clear();
  key_purges_.clear();
}

void DiskIndex::set_floor(uint64_t sequence) {
  const std::lock_guard lock(purges_mutex_);
  floor_ = sequence;
}

bool DiskIndex::is_purged(std::string_view key, const Slot& slot) const {
  const std::lock_guard lock(purges_mutex_);
  if (slot.sequence < floor_) return true;
  const auto known = key_purges_.find(std::string(key));
  if (known != key_purges_.end() && known->second > slot.sequence) return true;
  return std::any_of(purges_.begin(), purges_.end(), [&](const Purge& purge) {
    return purge.sequence > slot.sequence && matches(purge, slot.traits(key));
  });
}

}  // namespace payonce::cache
