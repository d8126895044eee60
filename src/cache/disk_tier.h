// The disk tier: index, queue of changes, one writer at a time, and the response log below.
// Threads: all methods any. find() and insert() never wait for I/O: they take the index's and the queue's locks only,
// and neither is held across I/O. load(), purge(), flush() and close() do I/O and belong on the worker pool.
// Errors: none. A read that fails its checks is a miss and a counted fault; a write that fails is dropped and
// switches writing off for kPause; a purge that cannot be recorded empties the tier instead.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/clock.h"
#include "base/directory_lock.h"
#include "base/env.h"
#include "base/gate.h"
#include "base/worker_pool.h"
#include "cache/disk_index.h"
#include "cache/entry.h"
#include "cache/response_log.h"
#include "cache/tally.h"

namespace payonce::cache {

class DiskTier : public std::enable_shared_from_this<DiskTier> {
 public:
  struct Options {
    std::string directory;  // made if missing
    uint64_t disk_bytes = 1ull << 30;
    uint64_t segment_bytes = 0;   // 0: a sixteenth of disk_bytes, between 1 MiB and 64 MiB
    size_t queue_entries = 1024;  // changes that wait for the writer
    uint64_t queue_bytes = 64u << 20;
  };
  // Starts the scan of the log on the pool: until it ends, what was stored by earlier runs may be a miss.
  static base::Result<std::shared_ptr<DiskTier>> open(Options options, base::Env& env, const base::Clock& clock,
                                                      base::WorkerPool& pool, Tally& tally);
  ~DiskTier();

  enum class Where : uint8_t { kNowhere, kExpired, kOnDisk };
  Where find(std::string_view key);
  EntryPtr load(std::string_view key);
  void insert(EntryPtr entry);
  // As if it had never been; on the disk with the next sync.
  bool erase(const std::string& key);
  // On the disk when it returns. The removed keys go to `removed`; returns how many.
  uint64_t purge(Purge purge, std::unordered_set<std::string>& removed);

  const DiskIndex& index() const { return index_; }
  uint64_t bytes() const { return log_->bytes(); }
  // `work` is called, and must only post, when all that earlier runs stored is found; never if the tier closes
  // before.
  void when_scanned(std::function<void()> work) { scan_end_.when_open(std::move(work)); }
  void write_out();  // what was inserted before is with the operating system: it outlives this process
  void flush();      // and on the disk
  // Ends the scan, writes what is queued, and frees the directory for the next owner. Jobs that still run do nothing.
  void close();

 private:
  struct Change {
    EntryPtr entry;  // null: a purge
    Purge purge;
    uint64_t sequence = 0;
    uint64_t bytes() const { return entry ? entry->charged_bytes() : 0; }
  };

  DiskTier(Options options, const base::Clock& clock, base::WorkerPool& pool, Tally& tally, base::DirectoryLock lock,
           std::unique_ptr<ResponseLog> log);
  uint64_t next_sequence() { return (log_->session() << 40) + ++counter_; }

  // The queue.
  bool enqueue(Change change);
  std::optional<Change> next_change();
  void requeue(std::vector<Purge> purges);
  void write_queued();

  // The writer; all with writer_mutex_ held.
  void drain();
  void write_put(const Change& change);
  base::Status write_purge(const Purge& purge);
  base::Status sync();
  void failed(const base::Error& error);
  bool is_paused() const { return clock_.monotonic_us() < paused_until_us_; }
  void make_room(uint64_t bytes);
  void tidy();
  void drop_until(uint64_t segment);

  // The scan (disk_scan.cc).
  struct Scan;
  void scan();
  base::Status scan_segment(Segment& segment, Scan& scan);

  const Options options_;
  const base::Clock& clock_;
  base::WorkerPool& pool_;
  Tally& tally_;
  std::optional<base::DirectoryLock> lock_;
  const std::unique_ptr<ResponseLog> log_;
  DiskIndex index_;
  std::atomic<uint64_t> counter_{0};
  std::atomic<bool> closing_{false};
  std::atomic<bool> scanned_{false};

  mutable std::mutex queue_mutex_;
  std::deque<Change> queue_;  // guarded by queue_mutex_; so are the next two
  uint64_t queued_bytes_ = 0;
  bool writer_posted_ = false;

  base::Gate scan_end_;
  std::mutex scan_mutex_;  // held by the scan

  std::mutex writer_mutex_;  // held across I/O by writers; taken before queue_mutex_ and the index's
  Codec codec_;              // guarded by writer_mutex_; so is all below
  bool closed_ = false;
  uint64_t last_purge_ = 0;  // synced
  std::vector<Purge> unsynced_purges_;
  int64_t paused_until_us_ = 0;
  int64_t synced_at_us_ = 0;
  int64_t tidied_at_us_ = 0;
};

}  // namespace payonce::cache
