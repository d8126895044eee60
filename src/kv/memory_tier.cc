#include "kv/memory_tier.h"

#include <algorithm>

namespace payonce::kv {

MemoryTier::MemoryTier(uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {
  entries_.reserve(likely_blocks(capacity_bytes));
  children_.reserve(likely_blocks(capacity_bytes));
}

MemoryTier::Inserted MemoryTier::insert(BlockPtr block, int64_t now_ms) {
  const uint64_t size = block->charged_bytes();
  std::vector<BlockPtr> evicted;  // freed after the lock
  const std::lock_guard lock(mutex_);
  if (const auto at = entries_.find(block->hash); at != entries_.end()) {
    touch(*at);
    try_keep(*at, block->keep_until_ms, now_ms);
    return {.result = Insert::kPresent, .block = at->second.block};
  }
  if (size > capacity_bytes_) return {.result = Insert::kNoRoom, .block = std::move(block)};

  const auto at = entries_.try_emplace(block->hash).first;
  at->second = {.block = block, .used = ++tick_};
  bytes_ += size;
  leaves_.emplace(tick_, &at->first);
  set_leaf(*at, !children_.contains(block->hash));
  if (block->parent != block->hash) {
    ++children_[block->parent];
    if (const auto parent = entries_.find(block->parent); parent != entries_.end()) set_leaf(*parent, false);
  }
  try_keep(*at, block->keep_until_ms, now_ms);

  while (!kept_.empty() && kept_.begin()->first <= now_ms) set_keep(*entries_.find(*kept_.begin()->second), 0);
  Insert result = Insert::kInserted;
  while (bytes_ > capacity_bytes_) {
    const BlockHash hash = victim(block->hash);
    if (hash == block->hash) result = Insert::kNoRoom;
    evicted.push_back(erase(hash));
  }
  return {
      .result = result, .block = std::move(block), .evicted = evicted.size() - (result == Insert::kNoRoom ? 1 : 0)};
}

BlockPtr MemoryTier::find(const BlockHash& hash) {
  const std::lock_guard lock(mutex_);
  const auto at = entries_.find(hash);
  if (at == entries_.end()) return nullptr;
  touch(*at);
  return at->second.block;
}

bool MemoryTier::contains(const BlockHash& hash) const {
  const std::lock_guard lock(mutex_);
  return entries_.contains(hash);
}

void MemoryTier::keep(const BlockHash& hash, int64_t until_ms, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  if (const auto at = entries_.find(hash); at != entries_.end()) try_keep(*at, until_ms, now_ms);
}

uint64_t MemoryTier::blocks() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

uint64_t MemoryTier::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

void MemoryTier::touch(Entries::value_type& at) {
  Entry& entry = at.second;
  const uint64_t before = entry.used;
  entry.used = ++tick_;
  if (!entry.is_leaf) return;
  ByTick& leaves = leaves_of(entry);
  auto node = leaves.extract({before, &at.first});
  node.value().first = entry.used;
  leaves.insert(leaves.end(), std::move(node));
}

void MemoryTier::set_leaf(Entries::value_type& at, bool is_leaf) {
  Entry& entry = at.second;
  if (entry.is_leaf == is_leaf) return;
  entry.is_leaf = is_leaf;
  if (is_leaf)
    leaves_of(entry).emplace(entry.used, &at.first);
  else
    leaves_of(entry).erase({entry.used, &at.first});
}

void MemoryTier::set_keep(Entries::value_type& at, int64_t until_ms) {
  Entry& entry = at.second;
  const uint64_t size = entry.block->charged_bytes();
  if (entry.is_leaf) leaves_of(entry).erase({entry.used, &at.first});
  if (entry.keep_until_ms > 0) {
    kept_.erase({entry.keep_until_ms, &at.first});
    kept_bytes_ -= size;
  }
  entry.keep_until_ms = until_ms;
  if (until_ms > 0) {
    kept_.emplace(until_ms, &at.first);
    kept_bytes_ += size;
  }
  if (entry.is_leaf) leaves_of(entry).emplace(entry.used, &at.first);
}

void MemoryTier::try_keep(Entries::value_type& at, int64_t until_ms, int64_t now_ms) {
  if (until_ms <= now_ms || until_ms <= at.second.keep_until_ms) return;
  const uint64_t size = at.second.block->charged_bytes();
  if (size > capacity_bytes_ / 2) return;
  set_keep(at, 0);
  while (kept_bytes_ + size > capacity_bytes_ / 2) {
    const auto [soonest_ms, hash] = *kept_.begin();
    if (soonest_ms >= until_ms) return;
    set_keep(*entries_.find(*hash), 0);
  }
  set_keep(at, until_ms);
}

// The newcomer itself only when nothing is here but what it hangs on.
BlockHash MemoryTier::victim(const BlockHash& newcomer) const {
  for (const ByTick* leaves : {&leaves_, &kept_leaves_}) {
    for (const auto& [tick, hash] : *leaves) {
      if (*hash != newcomer) return *hash;
    }
  }
  if (!leaves_.empty() || !kept_leaves_.empty()) return newcomer;
  return entries_.begin()->first;  // blocks that name each other as parents in a circle; hashes of chains never do
}

BlockPtr MemoryTier::erase(const BlockHash& hash) {
  const auto at = entries_.find(hash);
  set_keep(*at, 0);
  if (at->second.is_leaf) leaves_.erase({at->second.used, &at->first});
  BlockPtr block = std::move(at->second.block);
  bytes_ -= block->charged_bytes();
  entries_.erase(at);
  if (block->parent == block->hash) return block;
  const auto count = children_.find(block->parent);
  if (--count->second > 0) return block;
  children_.erase(count);
  if (const auto parent = entries_.find(block->parent); parent != entries_.end()) set_leaf(*parent, true);
  return block;
}

}  // namespace payonce::kv
