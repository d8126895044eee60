#include "kv/disk_tier.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace payonce::kv {
namespace {

constexpr uint64_t kMinSegmentBytes = 4u << 20;
constexpr ReadCost kDiskGuess{.latency_us = 200, .bytes_per_second = 500e6};

uint64_t segment_bytes(const DiskTier::Options& options) {
  if (options.segment_bytes > 0) return options.segment_bytes;
  return std::min(std::max(options.disk_bytes / 64, kMinSegmentBytes), options.disk_bytes / 4);
}

}  // namespace

base::Result<std::unique_ptr<DiskTier>> DiskTier::open(Options options, base::Env& env, const base::Clock& clock,
                                                       Tally& tally) {
  options.segment_bytes = segment_bytes(options);
  PAYONCE_CHECK_OK(env.make_directories(options.directory));
  PAYONCE_TRY(base::DirectoryLock lock, base::DirectoryLock::take(options.directory));
  PAYONCE_TRY(std::unique_ptr<BlockLog> log, BlockLog::open(env, clock,
                                                            {.directory = options.directory,
                                                             .fingerprint = options.fingerprint,
                                                             .segment_bytes = options.segment_bytes}));
  std::unique_ptr<DiskTier> tier(new DiskTier(std::move(options), clock, tally, std::move(lock), std::move(log)));
  tier->scan();
  tier->writer_ = std::thread([raw = tier.get()] { raw->run(); });
  return tier;
}

DiskTier::DiskTier(Options options, const base::Clock& clock, Tally& tally, base::DirectoryLock lock,
                   std::unique_ptr<BlockLog> log)
    : options_(std::move(options)),
      clock_(clock),
      tally_(tally),
      lock_(std::move(lock)),
      log_(std::move(log)),
      meter_(kDiskGuess),
      limit_bytes_(options_.disk_bytes) {
  slots_.reserve(likely_blocks(options_.disk_bytes));
}

DiskTier::~DiskTier() {
  flush();
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (writer_.joinable()) writer_.join();
}

void DiskTier::scan() {
  tally_.damaged.add(log_->scan([this](const RecordHeader& header, const Place& place) {
    // The same block may stand there twice, when it was carried over just before the end: the younger one counts.
    slots_[header.hash] = {.place = place, .pending = nullptr, .keep_until_ms = header.keep_until_ms};
    records_[place.segment].push_back(header.hash);
  }));
  show_size();
}

Where DiskTier::where(const BlockHash& hash) const {
  const std::lock_guard lock(mutex_);
  const auto at = slots_.find(hash);
  if (at == slots_.end()) return Where::kNone;
  return at->second.pending ? Where::kMemory : Where::kDisk;
}

DiskTier::Insert DiskTier::insert(BlockPtr block) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = slots_.find(block->hash); at != slots_.end()) {
      at->second.is_used = true;
      at->second.keep_until_ms = std::max(at->second.keep_until_ms, block->keep_until_ms);
      return Insert::kPresent;
    }
    const uint64_t bytes = block->charged_bytes();
    if (queued_bytes_ + bytes > options_.queue_bytes || is_paused()) return Insert::kDropped;
    slots_.emplace(block->hash, Slot{.place = {}, .pending = block, .keep_until_ms = block->keep_until_ms});
    ++pending_;
    queued_bytes_ += bytes;
    queue_.push_back({.block = std::move(block)});
  }
  wake_.notify_one();
  return Insert::kQueued;
}

base::Result<DiskTier::Loaded> DiskTier::load(const BlockHash& hash) {
  Place place;
  int64_t keep_until_ms = 0;
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      const auto at = slots_.find(hash);
      if (at == slots_.end()) return Loaded{};
      at->second.is_used = true;
      if (at->second.pending) return Loaded{.block = at->second.pending, .from = Where::kMemory};
      if (at->second.place == place) return Loaded{};  // its segment went, just now; the slot is next
      place = at->second.place;
      keep_until_ms = at->second.keep_until_ms;
    }
    auto loaded = log_->read(place, hash);
    if (loaded) {
      meter_.add(loaded->latency_us, loaded->block->payload.size(), loaded->payload_us);
      if (loaded->block->keep_until_ms == keep_until_ms) return Loaded{std::move(loaded->block), Where::kDisk};
      Block block = *loaded->block;  // shares the payload
      block.keep_until_ms = keep_until_ms;
      return Loaded{std::make_shared<const Block>(std::move(block)), Where::kDisk};
    }
    if (loaded.error().code == base::Code::kNotFound) continue;  // it was carried over, or dropped, meanwhile
    base::log_warn("KV block log: segment {} at {}: {}", place.segment, place.offset, loaded.error().message);
    tally_.damaged.add();
    drop(hash, place);
    return base::fail(std::move(loaded.error()));
  }
}

void DiskTier::keep(const BlockHash& hash, int64_t until_ms) {
  const std::lock_guard lock(mutex_);
  const auto at = slots_.find(hash);
  if (at != slots_.end()) at->second.keep_until_ms = std::max(at->second.keep_until_ms, until_ms);
}

void DiskTier::used(const BlockHash& hash) {
  const std::lock_guard lock(mutex_);
  if (const auto at = slots_.find(hash); at != slots_.end()) at->second.is_used = true;
}

// Only if it is still that one.
void DiskTier::drop(const BlockHash& hash, const Place& place) {
  {
    const std::lock_guard lock(mutex_);
    const auto at = slots_.find(hash);
    if (at == slots_.end() || at->second.pending || at->second.place != place) return;
    slots_.erase(at);
  }
  show_size();
}

void DiskTier::flush() {
  std::unique_lock lock(mutex_);
  const uint64_t ticket = ++flush_asked_;
  queue_.push_back({.block = nullptr, .flush = ticket});
  wake_.notify_one();
  done_.wait(lock, [&] { return flush_done_ >= ticket; });
}

uint64_t DiskTier::blocks() const {
  const std::lock_guard lock(mutex_);
  return slots_.size() - pending_;
}

void DiskTier::show_size() const {
  const std::lock_guard lock(mutex_);  // so that the last to come shows the last state
  tally_.disk_blocks.set(static_cast<double>(slots_.size() - pending_));
  tally_.disk_bytes.set(static_cast<double>(log_->bytes()));
}

}  // namespace payonce::kv
