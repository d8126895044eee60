#include "engine/tier.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace payonce::engine {
namespace {

constexpr size_t kMaxLoads = 16;          // sequences whose blocks are under way
constexpr size_t kMaxLoadBlocks = 4'096;  // of one load
constexpr size_t kMaxToStore = 65'536;    // blocks that wait to be stored
constexpr int kBlocksStoredAtOnce = 4;    // between two steps: a copy of some hundred KiB each
constexpr double kSmoothing = 0.2;        // of the measured cost of computing
constexpr char kWithSliding = 1, kWithoutSliding = 0;

}  // namespace

Tier::Tier(kv::BlockStore& store, Executor& executor, std::function<void()> wake)
    : store_(store), executor_(executor), wake_(std::move(wake)), reader_([this] { read_loads(); }) {}

Tier::~Tier() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_.notify_all();
  reader_.join();
}

size_t Tier::payload_bytes(bool with_sliding) const {
  return 1 + executor_.block_bytes(Pool::kFull) + (with_sliding ? executor_.block_bytes(Pool::kSliding) : 0);
}

// ---- out -----------------------------------------------------------------------------------------

void Tier::wanted(const BlockTable& table, BlockManager& blocks) {
  for (const int32_t id : table.full)
    if (!blocks.block(id).stored && to_store_.size() < kMaxToStore) to_store_.push_back(id);
}

void Tier::store_tail(const BlockTable& table, BlockManager& blocks) {
  if (table.computed % kBlockTokens == 0) return;
  const int32_t id = table.full[static_cast<size_t>(table.computed / kBlockTokens)];
  if (blocks.block(id).indexed && !blocks.block(id).stored) store(blocks, id);
}

bool Tier::store_some(BlockManager& blocks) {
  for (int stored = 0; stored < kBlocksStoredAtOnce && !to_store_.empty();) {
    const int32_t id = to_store_.front();
    to_store_.pop_front();
    const BlockManager::Block& block = blocks.block(id);
    // A tail that still grows is stored when its sequence has ended.
    if (!block.indexed || block.stored || (block.count < kBlockTokens && block.refs > 0)) continue;
    store(blocks, id);
    ++stored;
  }
  return !to_store_.empty();
}

void Tier::store_all(BlockManager& blocks) {
  while (store_some(blocks)) {
  }
  store_.flush();
}

void Tier::store(BlockManager& blocks, int32_t id) {
  const BlockManager::Block& block = blocks.block(id);
  const bool with_sliding = block.sliding != kNoBlock;
  kv::Block out;
  out.hash = blocks.name_of(id);
  out.parent = block.parent;
  out.tokens.assign(block.tokens.begin(), block.tokens.begin() + block.count);
  out.keep_until_ms = block.keep_until_ms;
  blocks.set_stored(id);
  if (store_.where(out.hash) != kv::Where::kNone) {
    if (out.keep_until_ms > 0) store_.keep(out.hash, out.keep_until_ms);
    return;
  }
  std::string payload(payload_bytes(with_sliding), '\0');
  payload[0] = with_sliding ? kWithSliding : kWithoutSliding;
  const std::span<std::byte> pages = std::as_writable_bytes(std::span(payload)).subspan(1);
  const size_t full_bytes = executor_.block_bytes(Pool::kFull);
  executor_.export_block(Pool::kFull, id, pages.first(full_bytes));
  if (with_sliding) executor_.export_block(Pool::kSliding, block.sliding, pages.subspan(full_bytes));
  out.payload = base::Bytes(std::move(payload));
  // What the store cannot take is computed again when it is wanted.
  if (const auto stored = store_.put(std::move(out)); !stored) base::log_warn("KV store: {}", stored.error().message);
}

// ---- in ------------------------------------------------------------------------------------------

// All that it has of the sequence's tokens: of the last ones, too, though one of them is computed in any case.
std::vector<Tier::Wanted> Tier::there(Sequence& sequence, BlockManager& blocks) const {
  std::vector<Wanted> out;
  BlockTable& table = sequence.table;
  const std::span<const int32_t> tokens = sequence.tokens;
  const auto limit = static_cast<int32_t>(tokens.size());
  size_t index = table.full.size();
  for (; static_cast<int32_t>(index + 1) * kBlockTokens <= limit && out.size() < kMaxLoadBlocks; ++index) {
    const kv::BlockHash& hash = blocks.chain_hash(table, tokens, index);
    const kv::Where where = store_.where(hash);
    if (where == kv::Where::kNone) break;
    const std::span<const int32_t> part = tokens.subspan(index * kBlockTokens, kBlockTokens);
    out.push_back({hash,
                   blocks.chain_before(table, tokens, index),
                   salt_of_block(table, index),
                   {part.begin(), part.end()},
                   where});
  }
  // The rest of the known path may be a partial block, under the hash of its tokens.
  const int32_t rest = std::min(limit - static_cast<int32_t>(index) * kBlockTokens, kBlockTokens - 1);
  for (int32_t count = rest; count > 0; --count) {
    const std::span<const int32_t> part = tokens.subspan(index * kBlockTokens, static_cast<size_t>(count));
    const std::string salt = salt_of_block(table, index);
    const kv::BlockHash& parent = blocks.chain_before(table, tokens, index);
    const kv::BlockHash hash = kv::chain_hash(parent, salt, part);
    const kv::Where where = store_.where(hash);
    if (where == kv::Where::kNone) continue;
    out.push_back({hash, parent, salt, {part.begin(), part.end()}, where});
    break;
  }
  return out;
}

// Reading and copying against computing, both as measured. As long as nothing was computed yet, loading is tried.
bool Tier::loading_pays(const std::vector<Wanted>& wanted) const {
  double load_us = 0;
  size_t tokens = 0;
  for (const Wanted& block : wanted) {
    load_us += store_.read_cost(block.where).us(payload_bytes(true));
    tokens += block.tokens.size();
  }
  return prefill_us_per_token_ == 0 || load_us < prefill_us_per_token_ * static_cast<double>(tokens);
}

bool Tier::begin_load(Sequence& sequence, BlockManager& blocks) {
  if (sequence.table.computed % kBlockTokens != 0) return false;
  if (static_cast<size_t>(loads_under_way_) >= kMaxLoads) return false;
  std::vector<Wanted> wanted = there(sequence, blocks);
  if (wanted.empty() || !loading_pays(wanted)) return false;
  // More than the pool can take would evict its own beginning.
  wanted.resize(std::min(wanted.size(), static_cast<size_t>(std::max(0, blocks.available() - 1))));
  if (wanted.empty()) return false;
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back({sequence.id, std::move(wanted), {}});
  }
  ++loads_under_way_;
  work_.notify_all();
  return true;
}

void Tier::read_loads() {
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stopping_ || !asked_.empty(); });
    if (stopping_) return;
    Load load = std::move(asked_.front());
    asked_.pop_front();
    lock.unlock();
    for (const Wanted& block : load.blocks) {
      auto found = store_.get(block.hash);
      // The store vouches for its bytes; whose tokens they are is compared here. A fault is a miss.
      if (!found || !*found || (*found)->tokens != block.tokens || (*found)->parent != block.parent) break;
      load.came.push_back(*std::move(found));
    }
    lock.lock();
    came_.push_back(std::move(load));
    lock.unlock();
    wake_();
    lock.lock();
  }
}

std::vector<uint64_t> Tier::receive(BlockManager& blocks) {
  std::deque<Load> came;
  {
    const std::lock_guard lock(mutex_);
    came.swap(came_);
  }
  std::vector<uint64_t> ended;
  const size_t full_bytes = executor_.block_bytes(Pool::kFull);
  for (const Load& load : came) {
    --loads_under_way_;
    ended.push_back(load.sequence);
    for (size_t i = 0; i < load.came.size(); ++i) {
      const std::string_view payload = load.came[i]->payload.view();
      const bool with_sliding = !payload.empty() && payload[0] == kWithSliding;
      if (payload.size() != payload_bytes(with_sliding)) break;  // of another layout
      const std::span<const std::byte> pages = std::as_bytes(std::span(payload)).subspan(1);
      const auto fill = [&](int32_t full, int32_t sliding) {
        executor_.import_block(Pool::kFull, full, pages.first(full_bytes));
        if (sliding != kNoBlock) executor_.import_block(Pool::kSliding, sliding, pages.subspan(full_bytes));
      };
      const Wanted& wanted = load.blocks[i];
      if (blocks.adopt(wanted.parent, wanted.salt, wanted.tokens, with_sliding, fill) == kNoBlock) break;
    }
  }
  return ended;
}

void Tier::prefilled(int32_t tokens, int64_t duration_us) {
  if (tokens < kBlockTokens) return;  // a step's fixed cost would count too much
  const double now = static_cast<double>(duration_us) / tokens;
  prefill_us_per_token_ =
      prefill_us_per_token_ == 0 ? now : prefill_us_per_token_ + kSmoothing * (now - prefill_us_per_token_);
}

}  // namespace payonce::engine
