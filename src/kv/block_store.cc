#include "kv/block_store.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"

namespace payonce::kv {

std::unique_ptr<BlockStore> BlockStore::open(const Options& options, base::Env& env, const base::Clock& clock,
                                             base::Metrics& metrics) {
  std::unique_ptr<BlockStore> store(new BlockStore(options, clock, metrics));
  if (options.directory.empty() || options.disk_bytes == 0) return store;
  auto disk = DiskTier::open({.directory = options.directory,
                              .fingerprint = base::sha256(options.fingerprint),
                              .disk_bytes = options.disk_bytes,
                              .segment_bytes = options.segment_bytes,
                              .queue_bytes = options.queue_bytes},
                             env, clock, store->tally_);
  if (disk)
    store->disk_ = std::move(*disk);
  else
    base::log_warn("KV blocks are kept in memory only: {}", disk.error().message);
  return store;
}

BlockStore::BlockStore(const Options& options, const base::Clock& clock, base::Metrics& metrics)
    : clock_(clock), tally_(metrics), memory_(options.memory_bytes), memory_cost_(measure_copy(clock)) {}

BlockStore::~BlockStore() = default;

Where BlockStore::where(const BlockHash& hash) const {
  if (memory_.contains(hash)) return Where::kMemory;
  return disk_ ? disk_->where(hash) : Where::kNone;
}

base::Status BlockStore::put(Block block) {
  if (block.tokens.empty() || block.tokens.size() > kBlockTokens || block.payload.size() > kMaxPayloadBytes)
    return base::fail(base::Code::kInvalid,
                      fmt::format("KV block: expected 1 to {} tokens and at most {} bytes, found {} and {}",
                                  kBlockTokens, kMaxPayloadBytes, block.tokens.size(), block.payload.size()));
  const MemoryTier::Inserted inserted = remember(std::make_shared<const Block>(std::move(block)));
  bool is_known = inserted.result == MemoryTier::Insert::kPresent;
  if (disk_) {
    const DiskTier::Insert queued = disk_->insert(inserted.block);
    is_known |= queued == DiskTier::Insert::kPresent;
    if (queued == DiskTier::Insert::kDropped) tally_.dropped_writes.add();
  }
  if (is_known) tally_.deduplicated.add();
  return {};
}

base::Result<BlockPtr> BlockStore::get(const BlockHash& hash) {
  if (BlockPtr block = memory_.find(hash)) {
    tally_.memory_hits.add();
    if (disk_) disk_->used(hash);
    return block;
  }
  if (disk_) {
    base::Result<DiskTier::Loaded> loaded = disk_->load(hash);
    if (loaded && loaded->block) {
      (loaded->from == Where::kDisk ? tally_.disk_hits : tally_.memory_hits).add();
      return remember(std::move(loaded->block)).block;
    }
    if (!loaded) {
      tally_.misses.add();
      return base::fail(std::move(loaded.error()));
    }
  }
  tally_.misses.add();
  return BlockPtr();
}

MemoryTier::Inserted BlockStore::remember(BlockPtr block) {
  MemoryTier::Inserted inserted = memory_.insert(std::move(block), clock_.unix_ms());
  tally_.memory_evictions.add(inserted.evicted);
  const std::lock_guard lock(gauges_mutex_);  // so that the last to come shows the last state
  tally_.memory_blocks.set(static_cast<double>(memory_.blocks()));
  tally_.memory_bytes.set(static_cast<double>(memory_.bytes()));
  return inserted;
}

void BlockStore::keep(const BlockHash& hash, int64_t until_ms) {
  memory_.keep(hash, until_ms, clock_.unix_ms());
  if (disk_) disk_->keep(hash, until_ms);
}

ReadCost BlockStore::read_cost(Where where) const {
  return where == Where::kMemory || !disk_ ? memory_cost_ : disk_->read_cost();
}

Stats BlockStore::stats() const {
  Stats stats{.memory = {.blocks = memory_.blocks(),
                         .bytes = memory_.bytes(),
                         .hits = tally_.memory_hits.total(),
                         .evictions = tally_.memory_evictions.total()},
              .disk = {.hits = tally_.disk_hits.total(), .evictions = tally_.disk_evictions.total()},
              .misses = tally_.misses.total(),
              .deduplicated = tally_.deduplicated.total(),
              .damaged = tally_.damaged.total(),
              .dropped_writes = tally_.dropped_writes.total()};
  if (disk_) {
    stats.disk.blocks = disk_->blocks();
    stats.disk.bytes = disk_->bytes();
  }
  return stats;
}

void BlockStore::flush() {
  if (disk_) disk_->flush();
}

}  // namespace payonce::kv
