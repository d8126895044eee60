#include "kv_events/block_index.h"

#include <algorithm>
#include <variant>

namespace payonce::kv_events {

void BlockIndex::apply(const Batch& batch) {
  const std::lock_guard lock(mutex_);
  for (const Event& event : batch.events) {
    ++state_.events;
    std::visit([this](const auto& one) { take(one); }, event);
  }
}

base::Hash128 BlockIndex::next(const base::Hash128& chain, std::span<const uint32_t> tokens,
                               std::string_view extra) const {
  const std::string_view bytes(reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes());
  return hash_.parts<3>({base::bytes_of(chain), bytes, extra});
}

uint32_t BlockIndex::place_bit(const std::string& place) {
  const auto known = places_.find(place);
  if (known != places_.end()) return known->second;
  if (places_.size() >= kMaxPlaces) return 0;
  return places_[place] = uint32_t{1} << places_.size();
}

// The chain before the first block of `stored`; false: its parent is not known.
bool BlockIndex::chain_of(const BlockStored& stored, base::Hash128& chain) const {
  if (stored.parent == base::Hash128{}) {
    chain = root(stored.adapter);
    return true;
  }
  const auto parent = blocks_.find(stored.parent);
  if (parent == blocks_.end()) return false;
  chain = parent->second.chain;
  return true;
}

void BlockIndex::take(const BlockStored& stored) {
  const uint32_t bit = place_bit(stored.place);
  if (stored.tokens.empty()) {  // another copy of blocks that are known (offloaded), or of none
    for (const base::Hash128& hash : stored.hashes)
      if (const auto known = blocks_.find(hash); known != blocks_.end()) known->second.places |= bit;
    return;
  }
  base::Hash128 chain;
  const bool whole = stored.block_size > 0 && stored.tokens.size() / stored.block_size == stored.hashes.size() &&
                     stored.tokens.size() % stored.block_size == 0;
  if (!whole || bit == 0 || !chain_of(stored, chain)) {
    state_.orphans += stored.hashes.size();
    return;
  }
  if (!stored.adapter.empty() && adapters_.size() < kMaxAdapters) adapters_[stored.adapter] = true;
  block_size_ = std::max(block_size_, stored.block_size);
  for (size_t i = 0; i < stored.hashes.size(); ++i) {
    const auto tokens = std::span(stored.tokens).subspan(i * stored.block_size, stored.block_size);
    chain = next(chain, tokens, stored.extras.empty() ? std::string_view() : stored.extras[i]);
    if (const auto known = blocks_.find(stored.hashes[i]); known != blocks_.end()) {
      known->second.places |= bit;
      continue;
    }
    if (blocks_.size() >= max_blocks_) {
      state_.orphans += stored.hashes.size() - i;
      state_.complete = false;
      return;
    }
    blocks_[stored.hashes[i]] = {.chain = chain, .size = stored.block_size, .places = bit};
    if (++chains_[chain] == 1) state_.tokens += stored.block_size;
  }
}

void BlockIndex::take(const BlockRemoved& removed) {
  const uint32_t bit = place_bit(removed.place);
  for (const base::Hash128& hash : removed.hashes) {
    const auto known = blocks_.find(hash);
    if (known == blocks_.end()) continue;
    known->second.places &= ~bit;
    if (known->second.places != 0) continue;
    const auto chain = chains_.find(known->second.chain);
    if (--chain->second == 0) {
      state_.tokens -= known->second.size;
      chains_.erase(chain);
    }
    blocks_.erase(known);
  }
}

void BlockIndex::take(const AllBlocksCleared&) {
  clear_blocks();
  state_.complete = true;
  ++state_.losses;
}

void BlockIndex::clear_blocks() {
  blocks_.clear();
  chains_.clear();
  places_.clear();
  adapters_.clear();
  state_.tokens = 0;
}

void BlockIndex::clear(Then then) {
  const std::lock_guard lock(mutex_);
  clear_blocks();
  state_.complete = then == Then::kComplete;
}

void BlockIndex::count_loss() {
  const std::lock_guard lock(mutex_);
  ++state_.losses;
}

BlockIndex::State BlockIndex::state() const {
  const std::lock_guard lock(mutex_);
  State out = state_;
  out.blocks = blocks_.size();
  return out;
}

size_t BlockIndex::cached_tokens(std::span<const uint32_t> tokens, std::string_view model) const {
  const std::lock_guard lock(mutex_);
  if (block_size_ == 0) return 0;
  base::Hash128 chain = root(adapters_.contains(std::string(model)) ? model : std::string_view());
  size_t cached = 0;
  while (tokens.size() - cached >= block_size_) {
    chain = next(chain, tokens.subspan(cached, block_size_), {});
    if (!chains_.contains(chain)) break;
    cached += block_size_;
  }
  return cached;
}

}  // namespace payonce::kv_events
