// The disk tier: index, bounded queue, the one writer (a thread of its own), and the block log below.
//
// Room is made by dropping the oldest segment. Of its blocks those that are to be kept, and those that were used
// since they were written, are first written again at the young end, up to half of the segment's bytes: a drop always
// frees half a segment at least, and what nobody asks for is gone after one turn.
//
// Threads: all methods any. where(), insert(), keep() and used() never wait for I/O: the lock is not held across it.
// load() reads; flush() and the destructor wait for the writer.
// Errors: a block that fails its checks, or cannot be read, is dropped from the index, so that the next look-up is a
// plain miss. A write that fails is dropped and switches writing off for kPause.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/directory_lock.h"
#include "base/env.h"
#include "base/result.h"
#include "kv/block_log.h"
#include "kv/read_cost.h"
#include "kv/tally.h"

namespace payonce::kv {

class DiskTier {
 public:
  struct Options {
    std::string directory;  // made if missing
    base::Digest fingerprint{};
    uint64_t disk_bytes = 0;
    uint64_t segment_bytes = 0;  // 0: a 64th of disk_bytes, at least 4 MiB, at most a quarter
    uint64_t queue_bytes = 0;    // blocks that wait for the writer
  };
  // Reads the headers of all records: about 2 µs for each that the kernel has in memory, a disk access otherwise.
  static base::Result<std::unique_ptr<DiskTier>> open(Options options, base::Env& env, const base::Clock& clock,
                                                      Tally& tally);
  ~DiskTier();  // writes what is queued
  DiskTier(const DiskTier&) = delete;
  DiskTier& operator=(const DiskTier&) = delete;

  Where where(const BlockHash& hash) const;  // kMemory while it waits for the writer
  enum class Insert : uint8_t { kQueued, kPresent, kDropped };
  Insert insert(BlockPtr block);
  struct Loaded {
    BlockPtr block;
    Where from = Where::kNone;
  };
  // Null: a miss. An error: it was here, and could not be read or failed a check.
  base::Result<Loaded> load(const BlockHash& hash);
  void keep(const BlockHash& hash, int64_t until_ms);  // never shortens; lost at a restart unless written again
  void used(const BlockHash& hash);                    // as load() does

  void flush();
  ReadCost read_cost() const { return meter_.cost(); }
  uint64_t blocks() const;
  uint64_t bytes() const { return log_->bytes(); }

 private:
  struct Slot {
    Place place;
    BlockPtr pending;  // waits for the writer; null: it is at `place`
    int64_t keep_until_ms = 0;
    bool is_used = false;  // since it was written
  };
  struct Job {
    BlockPtr block;  // null: a flush
    uint64_t flush = 0;
  };

  DiskTier(Options options, const base::Clock& clock, Tally& tally, base::DirectoryLock lock,
           std::unique_ptr<BlockLog> log);
  void scan();
  void drop(const BlockHash& hash, const Place& place);
  void show_size() const;

  // The writer.
  void run();
  void write(const BlockPtr& block);
  base::Status append(const Block& block, const Place& before);
  base::Status make_room(uint64_t record_bytes);
  base::Status drop_oldest();
  base::Status carry_over(const std::vector<BlockHash>& hashes, uint64_t segment);
  std::vector<BlockHash> worth_carrying(const std::vector<BlockHash>& hashes, uint64_t segment) const;
  void evict(const std::vector<BlockHash>& hashes, uint64_t segment);
  void failed(const base::Error& error);
  bool is_paused() const { return clock_.monotonic_us() < paused_until_us_.load(std::memory_order_relaxed); }

  const Options options_;
  const base::Clock& clock_;
  Tally& tally_;
  const base::DirectoryLock lock_;
  const std::unique_ptr<BlockLog> log_;
  ReadMeter meter_;
  std::atomic<int64_t> paused_until_us_{0};
  uint64_t limit_bytes_;  // writer only: disk_bytes, or what a full disk had room for

  mutable std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::unordered_map<BlockHash, Slot, BlockHashHasher> slots_;    // guarded by mutex_; so is all below
  std::unordered_map<uint64_t, std::vector<BlockHash>> records_;  // by segment, in its order; some moved on
  std::deque<Job> queue_;
  uint64_t queued_bytes_ = 0;
  uint64_t pending_ = 0;  // slots without a place
  uint64_t flush_asked_ = 0, flush_done_ = 0;
  bool stopping_ = false;
  std::thread writer_;
};

}  // namespace payonce::kv
