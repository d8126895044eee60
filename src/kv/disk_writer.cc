// The writer of the disk tier: one thread that takes blocks from the queue, makes room and appends.
#include <algorithm>
#include <exception>
#include <utility>

#include "base/log.h"
#include "kv/disk_tier.h"

namespace payonce::kv {
namespace {

constexpr int64_t kPauseUs = 10'000'000;
constexpr size_t kMaxSegments = 512;           // files, each of which is kept open
constexpr uint64_t kMaxCarryBytes = 1u << 30;  // of one segment
constexpr size_t kEvictBatch = 32;             // slots between two breaths of the lock
constexpr uint64_t kGrowth = 8;                // what a full disk took comes back by an 8th of what is written

uint64_t stride_of(const Block& block) {
  return RecordHeader{.payload_bytes = static_cast<uint32_t>(block.payload.size())}.stride_bytes();
}

}  // namespace

void DiskTier::run() {
  if (const auto fits = make_room(0); !fits) failed(fits.error());  // disk_bytes may be less than in the run before
  while (true) {
    Job job;
    {
      std::unique_lock lock(mutex_);
      wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
      if (queue_.empty()) return;
      job = std::move(queue_.front());
      queue_.pop_front();
    }
    if (job.block) {
      write(job.block);
    } else if (const auto synced = log_->sync(); !synced) {
      failed(synced.error());
    }
    const std::lock_guard lock(mutex_);
    if (job.block) queued_bytes_ -= job.block->charged_bytes();
    flush_done_ = std::max(flush_done_, job.flush);
    if (job.flush > 0) done_.notify_all();
  }
}

void DiskTier::write(const BlockPtr& block) {
  const auto written = [&]() -> base::Status {
    if (is_paused()) return base::fail(base::Code::kUnavailable, "writing is off");
    if (stride_of(*block) > options_.disk_bytes / 4) return base::fail(base::Code::kTooLarge, "not for the disk");
    try {
      PAYONCE_CHECK_OK(make_room(stride_of(*block)));
      return append(*block, Place{});
    } catch (const std::exception& error) {  // out of memory, say
      return base::fail(base::Code::kInternal, error.what());
    }
  }();
  if (!written) {
    {
      const std::lock_guard lock(mutex_);
      slots_.erase(block->hash);
      --pending_;
    }
    tally_.dropped_writes.add();
    if (!is_paused() && written.error().code != base::Code::kTooLarge) failed(written.error());
  }
  show_size();
}

// `before`: where it stood, nowhere for a new one. If it stands elsewhere by now, what is written here is not used.
base::Status DiskTier::append(const Block& block, const Place& before) {
  PAYONCE_TRY(const Place place, log_->append(block));
  limit_bytes_ = std::min(options_.disk_bytes, limit_bytes_ + stride_of(block) / kGrowth);
  BlockPtr written;  // freed after the lock
  const std::lock_guard lock(mutex_);
  records_[place.segment].push_back(block.hash);
  const auto at = slots_.find(block.hash);
  if (at == slots_.end() || at->second.place != before) return {};
  Slot& slot = at->second;
  written = std::move(slot.pending);
  if (written) --pending_;
  slot.place = place;
  if (before.segment != 0) slot.is_used = false;
  return {};
}

base::Status DiskTier::make_room(uint64_t record_bytes) {
  const uint64_t reserve = std::min(options_.segment_bytes / 2, kMaxCarryBytes);  // for what is carried over
  const uint64_t usable = limit_bytes_ - std::min(limit_bytes_, reserve);
  const auto is_full = [&] {
    return log_->bytes() + record_bytes + kAlignBytes > usable || log_->segments() >= kMaxSegments;
  };
  while (log_->oldest() != 0 && is_full()) PAYONCE_CHECK_OK(drop_oldest());
  return {};
}

base::Status DiskTier::drop_oldest() {
  const uint64_t segment = log_->close_oldest();
  std::vector<BlockHash> hashes;
  {
    const std::lock_guard lock(mutex_);
    if (const auto node = records_.extract(segment)) hashes = std::move(node.mapped());
  }
  base::Status carried = carry_over(worth_carrying(hashes, segment), segment);
  evict(hashes, segment);
  PAYONCE_CHECK_OK(log_->remove_oldest());
  return carried;
}

// Those to be kept first, then those that were used; each in the order of the log.
std::vector<BlockHash> DiskTier::worth_carrying(const std::vector<BlockHash>& hashes, uint64_t segment) const {
  const int64_t now_ms = clock_.unix_ms();
  std::vector<BlockHash> kept, used;
  for (const BlockHash& hash : hashes) {
    const std::lock_guard lock(mutex_);
    const auto at = slots_.find(hash);
    if (at == slots_.end() || at->second.place.segment != segment) continue;
    if (at->second.keep_until_ms > now_ms)
      kept.push_back(hash);
    else if (at->second.is_used)
      used.push_back(hash);
  }
  kept.insert(kept.end(), used.begin(), used.end());
  return kept;
}

base::Status DiskTier::carry_over(const std::vector<BlockHash>& hashes, uint64_t segment) {
  uint64_t budget = std::min({log_->bytes_of(segment) / 2, options_.segment_bytes / 2, kMaxCarryBytes});
  for (const BlockHash& hash : hashes) {
    Slot slot;
    {
      const std::lock_guard lock(mutex_);
      const auto at = slots_.find(hash);
      if (at == slots_.end() || at->second.place.segment != segment) continue;
      slot = at->second;
    }
    const auto loaded = log_->read(slot.place, hash);
    if (!loaded) {
      tally_.damaged.add();
      drop(hash, slot.place);
      continue;
    }
    if (stride_of(*loaded->block) > budget) break;
    budget -= stride_of(*loaded->block);
    Block block = *loaded->block;
    block.keep_until_ms = slot.keep_until_ms;  // it may have changed since
    PAYONCE_CHECK_OK(append(block, slot.place));
  }
  return {};
}

void DiskTier::evict(const std::vector<BlockHash>& hashes, uint64_t segment) {
  uint64_t evicted = 0;
  for (size_t start = 0; start < hashes.size(); start += kEvictBatch) {
    const std::lock_guard lock(mutex_);
    for (size_t i = start; i < std::min(hashes.size(), start + kEvictBatch); ++i) {
      const auto at = slots_.find(hashes[i]);
      if (at == slots_.end() || at->second.place.segment != segment) continue;
      slots_.erase(at);
      ++evicted;
    }
  }
  tally_.disk_evictions.add(evicted);
}

void DiskTier::failed(const base::Error& error) {
  base::log_warn("KV block log: writing is off for {} s: {}", kPauseUs / 1'000'000, error.message);
  paused_until_us_.store(clock_.monotonic_us() + kPauseUs, std::memory_order_relaxed);
  // Others need the disk, too: stay within what it had room for.
  if (error.code == base::Code::kExhausted && log_->bytes() > 0) limit_bytes_ = std::min(limit_bytes_, log_->bytes());
}

}  // namespace payonce::kv
