#include "cache/disk_tier.h"

#include <algorithm>
#include <chrono>
#include <exception>
#include <thread>
#include <utility>

#include "base/log.h"

namespace payonce::cache {
namespace {

constexpr int64_t kSyncEveryUs = 1'000'000;
constexpr int64_t kPauseUs = 10'000'000;
constexpr int64_t kTidyEveryUs = 60'000'000;
constexpr std::chrono::milliseconds kGather{5};
constexpr uint64_t kMinSegmentBytes = 1u << 20;
constexpr uint64_t kMaxSegmentBytes = 64u << 20;

uint64_t segment_bytes(const DiskTier::Options& options) {
  if (options.segment_bytes > 0) return options.segment_bytes;
  return std::clamp(options.disk_bytes / 16, kMinSegmentBytes, kMaxSegmentBytes);
}

}  // namespace

base::Result<std::shared_ptr<DiskTier>> DiskTier::open(Options options, base::Env& env, const base::Clock& clock,
                                                       base::WorkerPool& pool, Tally& tally) {
  PAYONCE_CHECK_OK(env.make_directories(options.directory));
  PAYONCE_TRY(base::DirectoryLock lock, base::DirectoryLock::take(options.directory));
  PAYONCE_TRY(ResponseLog::Opened opened,
              ResponseLog::open(env, {.directory = options.directory, .segment_bytes = segment_bytes(options)}));
  if (opened.faults > 0) tally.fault(opened.faults);
  std::shared_ptr<DiskTier> tier(
      new DiskTier(std::move(options), clock, pool, tally, std::move(lock), std::move(opened.log)));
  if (!pool.post([tier] { tier->scan(); })) tier->scan();
  return tier;
}

DiskTier::DiskTier(Options options, const base::Clock& clock, base::WorkerPool& pool, Tally& tally,
                   base::DirectoryLock lock, std::unique_ptr<ResponseLog> log)
    : options_(std::move(options)),
      clock_(clock),
      pool_(pool),
      tally_(tally),
      lock_(std::move(lock)),
      log_(std::move(log)),
      tidied_at_us_(clock.monotonic_us()) {}

DiskTier::~DiskTier() = default;

DiskTier::Where DiskTier::find(std::string_view key) {
  const std::optional<Slot> slot = index_.find(key);
  if (!slot || !slot->on_disk()) return Where::kNowhere;
  if (slot->expires_ms > clock_.unix_ms()) return Where::kOnDisk;
  if (index_.drop(key, slot->sequence)) tally_.expired(1);
  return Where::kExpired;
}

EntryPtr DiskTier::load(std::string_view key) {
  if (find(key) != Where::kOnDisk) return nullptr;
  const std::optional<Slot> slot = index_.find(key);
  if (!slot || !slot->on_disk()) return nullptr;
  const std::shared_ptr<Segment> segment = log_->segment(slot->location.segment);
  if (!segment) return nullptr;  // its space was needed, just now
  const auto read = [&]() -> base::Result<EntryPtr> {
    PAYONCE_TRY(const std::string bytes, segment->read(slot->location.offset, slot->location.size));
    return Codec::decode_put(bytes, key, slot->sequence, segment->seed());
  };
  base::Result<EntryPtr> entry = read();
  if (entry) {
    index_.count_hit(key);
    return *std::move(entry);
  }
  base::log_warn("response log: segment {} at {}: {}", segment->id(), slot->location.offset, entry.error().message);
  tally_.fault();
  if (index_.drop(key, slot->sequence)) tally_.corrupt(1);
  return nullptr;
}

void DiskTier::insert(EntryPtr entry) {
  const Slot slot{.sequence = next_sequence(),
                  .location = {},
                  .body_bytes = static_cast<uint32_t>(entry->body.size()),
                  .created_ms = entry->created_ms,
                  .expires_ms = entry->expires_ms,
                  .labels = index_.intern(entry->scope, entry->versions, entry->model)};
  if (!index_.put(entry->key, slot)) return;  // something newer came while we stood here
  const std::string key = entry->key;
  if (enqueue({.entry = std::move(entry), .purge = {}, .sequence = slot.sequence})) return;
  tally_.dropped_write();
  // The older record of this key must not be served in place of the one that was dropped.
  Purge older;
  older.key = key;
  older.sequence = slot.sequence + 1;
  index_.purge(older, nullptr);
}

bool DiskTier::erase(const std::string& key) {
  Purge purge;
  purge.key = key;
  purge.sequence = next_sequence();
  const bool removed = index_.purge(purge, nullptr) > 0;
  (void)enqueue({.entry = nullptr, .purge = std::move(purge), .sequence = 0});  // a purge is never refused
  return removed;
}

uint64_t DiskTier::purge(Purge purge, std::unordered_set<std::string>& removed) {
  purge.sequence = next_sequence();
  const uint64_t count = index_.purge(purge, &removed);
  // From here on the writer finds the removed entries gone and does not write them. One that it writes at this moment
  // stands before our record.
  const std::lock_guard lock(writer_mutex_);
  if (closed_) return count;
  const auto record = [&]() -> base::Status {
    PAYONCE_CHECK_OK(write_purge(purge));
    return sync();
  };
  base::Status done = record();
  if (!done) {
    failed(done.error());
    drop_until(log_->oldest());  // a full disk may have room for one small record then
    done = record();
  }
  if (!done) {
    base::log_error("a purge cannot be recorded, so the disk tier is emptied: {}", done.error().message);
    drop_until(log_->newest());
  }
  return count;
}

bool DiskTier::enqueue(Change change) {
  {
    const std::lock_guard lock(queue_mutex_);
    const uint64_t bytes = change.bytes();
    const bool full = queue_.size() >= options_.queue_entries || queued_bytes_ + bytes > options_.queue_bytes;
    if (full && change.entry) return false;
    queued_bytes_ += bytes;
    queue_.push_back(std::move(change));
    if (std::exchange(writer_posted_, true)) return true;
  }
  if (!pool_.post([tier = shared_from_this()] { tier->write_queued(); })) {
    const std::lock_guard lock(queue_mutex_);
    writer_posted_ = false;  // the next change, or flush(), tries again
  }
  return true;
}

std::optional<DiskTier::Change> DiskTier::next_change() {
  const std::lock_guard lock(queue_mutex_);
  if (queue_.empty()) {
    writer_posted_ = false;
    return std::nullopt;
  }
  Change change = std::move(queue_.front());
  queue_.pop_front();
  queued_bytes_ -= change.bytes();
  return change;
}

void DiskTier::requeue(std::vector<Purge> purges) {
  const std::lock_guard lock(queue_mutex_);
  for (Purge& purge : purges) queue_.push_back({.entry = nullptr, .purge = std::move(purge), .sequence = 0});
}

void DiskTier::write_queued() {
  // What comes within a few milliseconds goes out in one turn: waking the writer for each answer would delay the next
  // request on a machine with few cores.
  std::this_thread::sleep_for(kGather);
  const std::lock_guard lock(writer_mutex_);
  if (closed_) return;
  drain();
  const int64_t now_us = clock_.monotonic_us();
  if (log_->is_dirty() && now_us - synced_at_us_ >= kSyncEveryUs) {
    if (const auto synced = sync(); !synced) failed(synced.error());
  }
  if (now_us - tidied_at_us_ >= kTidyEveryUs) tidy();
}

void DiskTier::drain() {
  std::vector<Purge> kept;  // a purge waits for better days; a put does not
  while (auto change = next_change()) {
    try {
      if (change->entry) {
        write_put(*change);
      } else if (is_paused()) {
        kept.push_back(std::move(change->purge));
      } else if (const auto written = write_purge(change->purge); !written) {
        failed(written.error());
      }
    } catch (const std::exception& error) {  // out of memory, say
      failed({base::Code::kInternal, error.what()});
      if (change->entry) index_.drop(change->entry->key, change->sequence);
    }
  }
  requeue(std::move(kept));
}

void DiskTier::write_put(const Change& change) {
  const std::string& key = change.entry->key;
  const std::optional<Slot> slot = index_.find(key);
  if (!slot || slot->sequence != change.sequence) return;  // purged or replaced since
  const auto write = [&]() -> base::Result<Location> {
    PAYONCE_TRY(const std::shared_ptr<Segment> segment, log_->prepare());
    const auto record = codec_.encode_put(
        *change.entry, {.sequence = change.sequence, .last_purge = last_purge_, .seed = segment->seed()});
    if (!record || record->size() > options_.disk_bytes / 2)
      return base::fail(base::Code::kTooLarge, "not for the disk");
    make_room(record->size());
    return log_->append(*record);
  };
  if (is_paused()) {
    tally_.dropped_write();
    index_.drop(key, change.sequence);
    return;
  }
  const base::Result<Location> location = write();
  if (location) {
    index_.publish(key, change.sequence, *location);
    return;
  }
  index_.drop(key, change.sequence);
  if (location.error().code != base::Code::kTooLarge) failed(location.error());
}

base::Status DiskTier::write_purge(const Purge& purge) {
  unsynced_purges_.push_back(purge);
  PAYONCE_TRY(const std::shared_ptr<Segment> segment, log_->prepare());
  const auto record =
      Codec::encode_purge(purge, {.sequence = purge.sequence, .last_purge = last_purge_, .seed = segment->seed()});
  if (!record) return {};  // matches nothing that could stand in the log
  PAYONCE_TRY([[maybe_unused]] const Location location, log_->append(*record));
  return {};
}

base::Status DiskTier::sync() {
  PAYONCE_CHECK_OK(log_->sync());
  synced_at_us_ = clock_.monotonic_us();
  for (const Purge& purge : std::exchange(unsynced_purges_, {})) last_purge_ = std::max(last_purge_, purge.sequence);
  return {};
}

// Whatever was appended since the last sync may be lost now. For an answer that is a miss; a purge is written again.
void DiskTier::failed(const base::Error& error) {
  base::log_warn("response log: writing is off for {} s: {}", kPauseUs / 1'000'000, error.message);
  tally_.fault();
  paused_until_us_ = clock_.monotonic_us() + kPauseUs;
  requeue(std::exchange(unsynced_purges_, {}));
}

void DiskTier::make_room(uint64_t bytes) {
  const auto is_full = [&] { return log_->bytes() + bytes > options_.disk_bytes || log_->too_many_segments(); };
  while (is_full() && log_->oldest() != 0 && !log_->oldest_is_current()) {
    const uint64_t oldest = log_->oldest();
    drop_until(oldest);
    if (log_->oldest() == oldest) return;  // it cannot be deleted now
  }
}

void DiskTier::drop_until(uint64_t segment) {
  tally_.capacity(index_.drop_segments_until(segment));
  if (const auto removed = log_->remove_until(segment); !removed) failed(removed.error());
}

// Whole segments in which nothing is alive any more are deleted early. Oldest first, as always: a younger one may
// hold a purge of what stands in an older.
void DiskTier::tidy() {
  tidied_at_us_ = clock_.monotonic_us();
  if (!scanned_) return;
  tally_.expired(index_.drop_expired(clock_.unix_ms()));
  uint64_t oldest_in_use = log_->newest();
  index_.for_each([&](const std::string&, const Slot& slot) {
    if (slot.on_disk()) oldest_in_use = std::min(oldest_in_use, slot.location.segment);
  });
  if (oldest_in_use > log_->oldest()) drop_until(oldest_in_use - 1);
}

void DiskTier::write_out() {
  const std::lock_guard lock(writer_mutex_);
  if (!closed_) drain();
}

void DiskTier::flush() {
  const std::lock_guard lock(writer_mutex_);
  if (closed_) return;
  drain();
  if (const auto synced = sync(); !synced) failed(synced.error());
}

void DiskTier::close() {
  closing_ = true;
  {
    const std::lock_guard lock(scan_mutex_);
  }
  flush();
  const std::lock_guard lock(writer_mutex_);
  closed_ = true;
  lock_.reset();
}

}  // namespace payonce::cache
