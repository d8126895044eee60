// BlockManager's lower half: which block is free, used or cached, and which goes first when room is wanted.
#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "engine/block_manager.h"

namespace payonce::engine {

BlockManager::BlockManager(Options options, Executor& executor, const base::Clock& clock)
    : options_(std::move(options)), executor_(executor), clock_(clock) {
  blocks_.resize(static_cast<size_t>(options_.full_blocks));
  sliding_.resize(static_cast<size_t>(options_.sliding_blocks));
  // Taken from the end, so that the first blocks given out are the first of the pool.
  for (int32_t id = options_.full_blocks - 1; id >= 0; --id) free_.push_back(id);
  for (int32_t id = options_.sliding_blocks - 1; id >= 0; --id) sliding_free_.push_back(id);
}

BlockManager::Counts BlockManager::full_counts() const {
  const auto free = static_cast<int32_t>(free_.size());
  return {.free = free, .used = options_.full_blocks - free - cached_, .cached = cached_};
}

BlockManager::Counts BlockManager::sliding_counts() const {
  const auto free = static_cast<int32_t>(sliding_free_.size());
  const auto cached = static_cast<int32_t>(sliding_evictable_.size());
  return {.free = free, .used = options_.sliding_blocks - free - cached, .cached = cached};
}

// ---- taking and dropping -------------------------------------------------------------------------

void BlockManager::take(int32_t id) {
  Block& block = at(id);
  if (block.refs == 0) {
    unset_evictable(id);
    --cached_;
  }
  ++block.refs;
}

void BlockManager::drop(int32_t id) {
  Block& block = at(id);
  PAYONCE_ASSERT(block.refs > 0);
  if (--block.refs > 0) return;
  if (!block.indexed) return free_block(id);
  ++cached_;
  block.last_use = ++tick_;
  set_evictable(id);
}

void BlockManager::take_sliding(int32_t id) {
  Sliding& sliding = sliding_at(id);
  if (sliding.refs++ == 0) sliding_evictable_.erase({sliding.last_use, id});
}

void BlockManager::drop_sliding(int32_t id) {
  Sliding& sliding = sliding_at(id);
  PAYONCE_ASSERT(sliding.refs > 0);
  if (--sliding.refs > 0) return;
  if (sliding.owner == kNoBlock || !at(sliding.owner).indexed) return free_sliding(id);
  sliding.last_use = ++tick_;
  sliding_evictable_.insert({sliding.last_use, id});
}

void BlockManager::free_block(int32_t id) {
  Block& block = at(id);
  PAYONCE_ASSERT(block.refs == 0 && !block.indexed && block.children == 0);
  if (block.sliding != kNoBlock) {
    Sliding& sliding = sliding_at(block.sliding);
    PAYONCE_ASSERT(sliding.refs == 0);
    sliding_evictable_.erase({sliding.last_use, block.sliding});
    free_sliding(block.sliding);
  }
  block = Block{};
  free_.push_back(id);
}

void BlockManager::free_sliding(int32_t id) {
  Sliding& sliding = sliding_at(id);
  PAYONCE_ASSERT(sliding.refs == 0);
  if (sliding.owner != kNoBlock) at(sliding.owner).sliding = kNoBlock;
  sliding = Sliding{};
  sliding_free_.push_back(id);
}

// ---- eviction ------------------------------------------------------------------------------------

bool BlockManager::is_leaf(int32_t id) const {
  const Block& block = blocks_[static_cast<size_t>(id)];
  return block.refs == 0 && block.indexed && block.children == 0;
}

void BlockManager::set_evictable(int32_t id) {
  if (!is_leaf(id)) return;
  const Block& block = at(id);
  const bool keep = block.keep_until_ms > clock_.unix_ms() && kept_.size() < blocks_.size() / 2;
  if (keep)
    kept_.insert({block.keep_until_ms, id});
  else
    evictable_.insert({block.last_use, id});
}

void BlockManager::unset_evictable(int32_t id) {
  evictable_.erase({at(id).last_use, id});
  kept_.erase({at(id).keep_until_ms, id});
}

bool BlockManager::evict_one() {
  const int64_t now_ms = clock_.unix_ms();
  while (!kept_.empty() && kept_.begin()->first <= now_ms) {
    const int32_t expired = kept_.begin()->second;
    kept_.erase(kept_.begin());
    evictable_.insert({at(expired).last_use, expired});
  }
  if (evictable_.empty() && kept_.empty()) return false;
  evict(evictable_.empty() ? kept_.begin()->second : evictable_.begin()->second);
  return true;
}

void BlockManager::evict(int32_t id) {
  PAYONCE_ASSERT(is_leaf(id));
  if (on_evict_ && !at(id).stored) on_evict_(id);
  unset_evictable(id);
  unlink(id);
  --cached_;
  ++evictions_;
  free_block(id);
}

int32_t BlockManager::allocate() {
  if (free_.empty() && !evict_one()) return kNoBlock;
  const int32_t id = free_.back();
  free_.pop_back();
  at(id).refs = 1;
  return id;
}

int32_t BlockManager::allocate_sliding() {
  if (sliding_free_.empty()) {
    if (sliding_evictable_.empty()) return kNoBlock;
    const int32_t victim = sliding_evictable_.begin()->second;
    sliding_evictable_.erase(sliding_evictable_.begin());
    ++sliding_evictions_;
    free_sliding(victim);
  }
  const int32_t id = sliding_free_.back();
  sliding_free_.pop_back();
  sliding_at(id).refs = 1;
  return id;
}

// ---- the index -----------------------------------------------------------------------------------

void BlockManager::count_child(const kv::BlockHash& parent, int32_t change) {
  const auto it = by_hash_.find(parent);
  if (it == by_hash_.end()) return;  // the root
  Block& block = at(it->second);
  if (is_leaf(it->second)) unset_evictable(it->second);
  block.children += change;
  PAYONCE_ASSERT(block.children >= 0);
  set_evictable(it->second);
}

kv::BlockHash BlockManager::sibling_key(const kv::BlockHash& parent, const std::string& salt) {
  return kv::chain_hash(parent, salt, {});
}

void BlockManager::link(int32_t id, const std::string& salt) {
  Block& block = at(id);
  PAYONCE_ASSERT(!block.indexed);
  block.salt = salt;
  const kv::BlockHash siblings = block.siblings = sibling_key(block.parent, salt);
  const auto [it, is_first] = first_sibling_.try_emplace(siblings, id);
  if (!is_first) {
    block.next_sibling = it->second;
    at(it->second).previous_sibling = id;
    it->second = id;
  }
  block.indexed = true;
  count_child(block.parent, 1);
}

void BlockManager::unlink(int32_t id) {
  Block& block = at(id);
  PAYONCE_ASSERT(block.indexed);
  if (const auto it = by_hash_.find(block.hash); it != by_hash_.end() && it->second == id) by_hash_.erase(it);
  if (block.next_sibling != kNoBlock) at(block.next_sibling).previous_sibling = block.previous_sibling;
  if (block.previous_sibling != kNoBlock)
    at(block.previous_sibling).next_sibling = block.next_sibling;
  else if (block.next_sibling != kNoBlock)
    first_sibling_[block.siblings] = block.next_sibling;
  else
    first_sibling_.erase(block.siblings);
  block.previous_sibling = block.next_sibling = kNoBlock;
  block.indexed = false;
  count_child(block.parent, -1);
}

// ---- invariants ----------------------------------------------------------------------------------

void BlockManager::check() const {
  int32_t cached = 0, leaves = 0, sliding_cached = 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    const Block& block = blocks_[i];
    PAYONCE_ASSERT(block.refs >= 0);
    if (block.refs == 0 && block.indexed) ++cached;
    const bool listed = evictable_.contains({block.last_use, id}) || kept_.contains({block.keep_until_ms, id});
    PAYONCE_ASSERT(listed == is_leaf(id));
    if (listed) ++leaves;
    if (block.sliding != kNoBlock) PAYONCE_ASSERT(sliding_[static_cast<size_t>(block.sliding)].owner == id);
  }
  PAYONCE_ASSERT(cached == cached_);
  PAYONCE_ASSERT(static_cast<size_t>(leaves) == evictable_.size() + kept_.size());
  for (const Sliding& sliding : sliding_)
    if (sliding.refs == 0 && sliding.owner != kNoBlock) ++sliding_cached;
  PAYONCE_ASSERT(static_cast<size_t>(sliding_cached) == sliding_evictable_.size());
  for (const int32_t id : free_) {
    const Block& block = blocks_[static_cast<size_t>(id)];
    PAYONCE_ASSERT(block.refs == 0 && !block.indexed && block.children == 0 && block.sliding == kNoBlock);
  }
  for (const auto& [hash, id] : by_hash_) {
    const Block& block = blocks_[static_cast<size_t>(id)];
    PAYONCE_ASSERT(block.indexed && block.count == kBlockTokens && block.hash == hash);
  }
}

}  // namespace payonce::engine
