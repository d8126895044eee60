#include "engine/block_manager.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace payonce::engine {
namespace {

// Of the blocks that continue one prefix, so many of the newest are compared token by token. A full block that fits
// is found by its hash, however many there are.
constexpr int kMaxSiblingsCompared = 64;

std::span<const int32_t> block_tokens(std::span<const int32_t> tokens, size_t block) {
  const size_t begin = block * kBlockTokens;
  return tokens.subspan(begin, std::min<size_t>(kBlockTokens, tokens.size() - begin));
}

int32_t common_run(std::span<const int32_t> a, std::span<const int32_t> b) {
  const auto [end, unused] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<int32_t>(end - a.begin());
}

std::span<const int32_t> held_tokens(const BlockManager::Block& block) {
  return {block.tokens.data(), static_cast<size_t>(block.count)};
}

}  // namespace

// ---- names ---------------------------------------------------------------------------------------

const kv::BlockHash& BlockManager::chain_hash(BlockTable& table, std::span<const int32_t> tokens,
                                              size_t block) const {
  while (table.chain.size() <= block) {
    const size_t next = table.chain.size();
    const std::span<const int32_t> part = block_tokens(tokens, next);
    PAYONCE_ASSERT(part.size() == kBlockTokens);
    const kv::BlockHash& before = next == 0 ? options_.root : table.chain.back();
    table.chain.push_back(kv::chain_hash(before, salt_of_block(table, next), part));
  }
  return table.chain[block];
}

const kv::BlockHash& BlockManager::chain_before(BlockTable& table, std::span<const int32_t> tokens,
                                                size_t block) const {
  return block == 0 ? options_.root : chain_hash(table, tokens, block - 1);
}

kv::BlockHash BlockManager::name_of(int32_t id) const {
  const Block& named = block(id);
  return named.count == kBlockTokens ? named.hash : kv::chain_hash(named.parent, named.salt, held_tokens(named));
}

// ---- finding -------------------------------------------------------------------------------------

BlockManager::Found BlockManager::find(BlockTable& table, std::span<const int32_t> tokens, int32_t limit,
                                       bool with_partial) {
  Found found;
  for (size_t i = table.full.size(); static_cast<int32_t>(i + 1) * kBlockTokens <= limit; ++i) {
    const auto it = by_hash_.find(chain_hash(table, tokens, i));
    if (it == by_hash_.end()) break;
    const Block& block = at(it->second);
    // A collision would hand one prompt's state to another.
    if (!std::ranges::equal(held_tokens(block), block_tokens(tokens, i))) break;
    found.blocks.push_back(it->second);
  }
  if (with_partial) find_partial(table, tokens, limit, found);
  return found;
}

void BlockManager::find_partial(BlockTable& table, std::span<const int32_t> tokens, int32_t limit, Found& found) {
  const size_t index = table.full.size() + found.blocks.size();
  const size_t begin = index * kBlockTokens;
  if (begin >= static_cast<size_t>(limit)) return;
  const std::span<const int32_t> wanted = tokens.subspan(begin, static_cast<size_t>(limit) - begin);
  const auto first =
      first_sibling_.find(sibling_key(chain_before(table, tokens, index), salt_of_block(table, index)));
  if (first == first_sibling_.end()) return;
  int32_t id = first->second;
  for (int i = 0; i < kMaxSiblingsCompared && id != kNoBlock; ++i, id = at(id).next_sibling) {
    const int32_t run = common_run(held_tokens(at(id)), wanted);
    if (run <= found.partial_tokens) continue;
    found.partial = id;
    found.partial_tokens = run;
  }
}

// The block of the first position that the token after `tokens` tokens attends to.
size_t BlockManager::first_block_in_window(int32_t tokens) const {
  return static_cast<size_t>(std::max(0, tokens - options_.window + 1) / kBlockTokens);
}

bool BlockManager::window_is_there(const BlockTable& table, const Found& found, int32_t tokens) const {
  const size_t own = table.full.size();
  const size_t end = own + found.blocks.size() + (found.partial == kNoBlock ? 0 : 1);
  for (size_t i = first_block_in_window(tokens); i < end; ++i) {
    const int32_t id = i < own                         ? table.sliding[i]
                       : i < own + found.blocks.size() ? block(found.blocks[i - own]).sliding
                                                       : block(found.partial).sliding;
    if (id == kNoBlock) return false;
  }
  return true;
}

// Leaves away what cannot be used because the sliding layers' last window is gone.
void BlockManager::shorten_to_window(const BlockTable& table, Found& found) const {
  while (found.partial != kNoBlock || !found.blocks.empty()) {
    const size_t whole = table.full.size() + found.blocks.size();
    const int32_t tokens = static_cast<int32_t>(whole) * kBlockTokens + found.partial_tokens;
    if (window_is_there(table, found, tokens)) return;
    if (found.partial == kNoBlock) found.blocks.pop_back();
    found.partial = kNoBlock;
    found.partial_tokens = 0;
  }
}

int32_t BlockManager::extend_from_cache(BlockTable& table, std::span<const int32_t> tokens, int32_t limit) {
  PAYONCE_ASSERT(table.computed == static_cast<int32_t>(table.full.size()) * kBlockTokens);
  const int32_t before = table.computed;
  for (const bool with_partial : {true, false}) {
    Found found = find(table, tokens, limit, with_partial);
    if (has_sliding()) shorten_to_window(table, found);
    const size_t end_block = table.full.size() + found.blocks.size();
    const int32_t end = static_cast<int32_t>(end_block) * kBlockTokens + found.partial_tokens;
    if (end == before) continue;
    if (found.partial != kNoBlock) take(found.partial);  // so that making room for its copy does not evict it
    for (size_t i = 0; i < found.blocks.size(); ++i) {
      const size_t index = table.full.size();
      take(found.blocks[i]);
      table.full.push_back(found.blocks[i]);
      if (!has_sliding()) continue;
      const int32_t sliding = index >= first_block_in_window(end) ? at(found.blocks[i]).sliding : kNoBlock;
      if (sliding != kNoBlock) take_sliding(sliding);
      table.sliding.push_back(sliding);
    }
    table.computed = static_cast<int32_t>(end_block) * kBlockTokens;
    const bool copied = found.partial == kNoBlock || copy_partial(table, found.partial, found.partial_tokens);
    if (found.partial != kNoBlock) drop(found.partial);
    if (copied) break;
    while (static_cast<int32_t>(table.full.size()) * kBlockTokens > before) drop_last_block(table);
    table.computed = before;
  }
  drop_behind_window(table);
  return table.computed - before;
}

// A block of our own that begins with the first `count` tokens of `from`. kNoBlock: no room.
int32_t BlockManager::copy_of(int32_t from, int32_t count, bool with_sliding) {
  const int32_t id = allocate();
  if (id == kNoBlock) return kNoBlock;
  const int32_t sliding = with_sliding ? allocate_sliding() : kNoBlock;
  if (with_sliding && sliding == kNoBlock) {
    drop(id);
    return kNoBlock;
  }
  Block& copy = at(id);
  copy.count = count;
  copy.tokens = at(from).tokens;
  copy.parent = at(from).parent;
  executor_.copy_block(Pool::kFull, from, id);
  if (with_sliding) {
    copy.sliding = sliding;
    sliding_at(sliding).owner = id;
    executor_.copy_block(Pool::kSliding, at(from).sliding, sliding);
  }
  return id;
}

bool BlockManager::copy_partial(BlockTable& table, int32_t from, int32_t tokens) {
  const int32_t source_sliding = at(from).sliding;
  if (has_sliding()) take_sliding(source_sliding);
  const int32_t id = copy_of(from, tokens, has_sliding());
  if (has_sliding()) drop_sliding(source_sliding);
  if (id == kNoBlock) return false;
  table.full.push_back(id);
  if (has_sliding()) table.sliding.push_back(at(id).sliding);
  table.computed += tokens;
  return true;
}

// ---- room ----------------------------------------------------------------------------------------

// Copy-on-write: a last block that others hold, too, is copied before it is written.
bool BlockManager::own_tail(BlockTable& table) {
  if (table.computed % kBlockTokens == 0) return true;
  const auto index = static_cast<size_t>(table.computed / kBlockTokens);
  const int32_t shared = table.full[index];
  if (at(shared).refs == 1) return true;
  const int32_t id = copy_of(shared, table.computed % kBlockTokens, has_sliding());
  if (id == kNoBlock) return false;
  if (has_sliding()) {
    drop_sliding(table.sliding[index]);
    table.sliding[index] = at(id).sliding;
  }
  drop(shared);
  table.full[index] = id;
  return true;
}

bool BlockManager::append_block(BlockTable& table) {
  const int32_t id = allocate();
  if (id == kNoBlock) return false;
  if (has_sliding()) {
    const int32_t sliding = allocate_sliding();
    if (sliding == kNoBlock) {
      drop(id);
      return false;
    }
    at(id).sliding = sliding;
    sliding_at(sliding).owner = id;
    table.sliding.push_back(sliding);
  }
  table.full.push_back(id);
  return true;
}

void BlockManager::drop_last_block(BlockTable& table) {
  if (has_sliding()) {
    if (table.sliding.back() != kNoBlock) drop_sliding(table.sliding.back());
    table.sliding.pop_back();
  }
  drop(table.full.back());
  table.full.pop_back();
}

bool BlockManager::reserve(BlockTable& table, int32_t upto) {
  if (!own_tail(table)) return false;
  const size_t before = table.full.size();
  while (static_cast<int32_t>(table.full.size()) * kBlockTokens < upto) {
    if (append_block(table)) continue;
    while (table.full.size() > before) drop_last_block(table);
    return false;
  }
  return true;
}

// ---- what is computed ----------------------------------------------------------------------------

void BlockManager::commit(BlockTable& table, std::span<const int32_t> tokens, int32_t upto) {
  for (int32_t position = table.computed; position < upto; ++position) {
    const auto index = static_cast<size_t>(position / kBlockTokens);
    Block& block = at(table.full[index]);
    const int32_t slot = position % kBlockTokens;
    block.tokens[static_cast<size_t>(slot)] = tokens[static_cast<size_t>(position)];
    block.count = slot + 1;
    block.stored = false;  // not as it is now
    if (block.count == kBlockTokens) seal(table, tokens, index);
  }
  table.computed = upto;
  if (upto % kBlockTokens != 0) index_tail(table, tokens);
  drop_behind_window(table);
}

void BlockManager::seal(BlockTable& table, std::span<const int32_t> tokens, size_t index) {
  const int32_t id = table.full[index];
  Block& block = at(id);
  block.parent = chain_before(table, tokens, index);
  block.hash = chain_hash(table, tokens, index);
  if (give_way_to_twin(table, index)) return;
  if (by_hash_.contains(block.hash)) return;  // a collision: stays unknown to others
  if (!block.indexed) link(id, salt_of_block(table, index));
  by_hash_.emplace(block.hash, id);
  evict_covered_siblings(id);
}

// Another sequence has computed the same block: the table takes that one, and ours is free again.
bool BlockManager::give_way_to_twin(BlockTable& table, size_t index) {
  const int32_t own = table.full[index];
  const auto it = by_hash_.find(at(own).hash);
  if (it == by_hash_.end() || it->second == own || at(it->second).tokens != at(own).tokens) return false;
  const int32_t twin = it->second;
  take(twin);
  if (at(own).indexed) unlink(own);
  if (has_sliding() && table.sliding[index] != kNoBlock) {
    const int32_t own_sliding = table.sliding[index];
    if (at(twin).sliding == kNoBlock) {  // its own was evicted: it gets ours
      at(own).sliding = kNoBlock;
      at(twin).sliding = own_sliding;
      sliding_at(own_sliding).owner = twin;
    } else {
      take_sliding(at(twin).sliding);
      table.sliding[index] = at(twin).sliding;
      drop_sliding(own_sliding);
    }
  }
  drop(own);
  table.full[index] = twin;
  return true;
}

// A last block that is not full can be found, too: its tokens stay while it grows.
void BlockManager::index_tail(BlockTable& table, std::span<const int32_t> tokens) {
  const auto index = static_cast<size_t>(table.computed / kBlockTokens);
  Block& block = at(table.full[index]);
  if (block.indexed || block.refs > 1) return;
  block.parent = chain_before(table, tokens, index);
  link(table.full[index], salt_of_block(table, index));
}

bool BlockManager::is_covered_by_sibling(int32_t id) const {
  const Block& own = block(id);
  int32_t other = first_sibling_.at(own.siblings);
  for (int i = 0; i < kMaxSiblingsCompared && other != kNoBlock; ++i, other = block(other).next_sibling)
    if (other != id && common_run(held_tokens(own), held_tokens(block(other))) == own.count) return true;
  return false;
}

// What this full block holds as well is no use any more.
void BlockManager::evict_covered_siblings(int32_t id) {
  const Block& own = at(id);
  int32_t other = first_sibling_.at(own.siblings);
  for (int i = 0; i < kMaxSiblingsCompared && other != kNoBlock; ++i) {
    const Block& block = at(other);
    const int32_t next = block.next_sibling;
    const bool covered =
        other != id && block.count < kBlockTokens && common_run(held_tokens(block), held_tokens(own)) == block.count;
    if (covered && is_leaf(other)) {
      at(other).stored = true;  // not worth a place behind the pool either
      evict(other);
    }
    other = next;
  }
}

void BlockManager::drop_behind_window(BlockTable& table) {
  if (!has_sliding()) return;
  for (size_t i = std::min(first_block_in_window(table.computed), table.sliding.size()); i > 0; --i) {
    if (table.sliding[i - 1] == kNoBlock) return;  // and so are all before it
    drop_sliding(table.sliding[i - 1]);
    table.sliding[i - 1] = kNoBlock;
  }
}

// ---- forks and ends ------------------------------------------------------------------------------

BlockTable BlockManager::fork(const BlockTable& table) {
  for (const int32_t id : table.full) take(id);
  for (const int32_t id : table.sliding)
    if (id != kNoBlock) take_sliding(id);
  return table;
}

void BlockManager::release(BlockTable& table) {
  if (table.computed % kBlockTokens != 0) {
    const int32_t tail = table.full[static_cast<size_t>(table.computed / kBlockTokens)];
    if (at(tail).indexed && at(tail).refs == 1 && is_covered_by_sibling(tail)) unlink(tail);
  }
  // Tail first, so that a leaf is older than its parent in the order of eviction.
  while (!table.full.empty()) drop_last_block(table);
  table.computed = 0;
}

void BlockManager::mark(const BlockTable& table, int32_t tokens, int64_t until_ms) {
  const size_t count = std::min(table.full.size(), static_cast<size_t>((tokens + kBlockTokens - 1) / kBlockTokens));
  for (size_t i = 0; i < count; ++i) {
    Block& block = at(table.full[i]);
    block.keep_until_ms = std::max(block.keep_until_ms, until_ms);
  }
}

int32_t BlockManager::adopt(const kv::BlockHash& parent, const std::string& salt, std::span<const int32_t> tokens,
                            bool with_sliding, const std::function<void(int32_t full, int32_t sliding)>& fill) {
  const auto parent_block = by_hash_.find(parent);
  const bool at_root = parent == options_.root;
  if (!at_root && parent_block == by_hash_.end()) return kNoBlock;
  const kv::BlockHash hash = kv::chain_hash(parent, salt, tokens);
  if (const auto it = by_hash_.find(hash); it != by_hash_.end()) return it->second;
  const int32_t parent_id = at_root ? kNoBlock : parent_block->second;
  if (parent_id != kNoBlock) take(parent_id);  // making room must not evict it
  const int32_t id = allocate();
  if (id != kNoBlock) {
    Block& block = at(id);
    std::ranges::copy(tokens, block.tokens.begin());
    block.count = static_cast<int32_t>(tokens.size());
    block.parent = parent;
    block.hash = hash;
    block.stored = true;
    const int32_t sliding = with_sliding && has_sliding() ? allocate_sliding() : kNoBlock;
    if (sliding != kNoBlock) {
      block.sliding = sliding;
      sliding_at(sliding).owner = id;
    }
    fill(id, sliding);
    link(id, salt);
    if (block.count == kBlockTokens) by_hash_.emplace(hash, id);
    if (sliding != kNoBlock) drop_sliding(sliding);
    drop(id);
  }
  if (parent_id != kNoBlock) drop(parent_id);
  return id;
}

}  // namespace payonce::engine
