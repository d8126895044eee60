// The KV block store: write-once blocks found by the hash of their chain, in memory and on disk. The caller compares
// parent and tokens of what it gets with those it asked for: the store cannot know the salt that went into the hash.
//
// Threads: all methods any. where(), put(), keep(), read_cost() and stats() never wait for I/O; get() may read the
// disk when where() says kDisk; flush() and the destructor wait for queued writes.
//
// Errors: the store may only miss. A damaged or unreadable block is an error once (counted, dropped, never served)
// and a miss from then on. Without a usable directory, or while another process has it, the store runs in memory
// alone.
//
// After a crash the youngest blocks may be missing; wrong bytes are never served (docs/formats/kv-block-log.md).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"
#include "base/result.h"
#include "kv/block.h"
#include "kv/disk_tier.h"
#include "kv/memory_tier.h"
#include "kv/read_cost.h"
#include "kv/tally.h"

namespace payonce::kv {

class BlockStore {
 public:
  struct Options {
    uint64_t memory_bytes = 1ull << 30;  // 0: no memory tier
    std::string directory;               // empty: no disk tier
    uint64_t disk_bytes = 8ull << 30;
    std::string fingerprint;             // what makes payloads readable: model, type, layers, page order
    uint64_t queue_bytes = 64ull << 20;  // blocks that wait for the disk; more are not written
    uint64_t segment_bytes = 0;          // 0: by disk_bytes
  };
  // Reads the headers on the disk (see DiskTier::open); blocks of earlier runs are there when it returns.
  static std::unique_ptr<BlockStore> open(const Options& options, base::Env& env, const base::Clock& clock,
                                          base::Metrics& metrics);
  ~BlockStore();  // writes what is queued

  // What get() would read, as of now. kMemory also while a block waits for the disk.
  Where where(const BlockHash& hash) const;

  // Into memory at once, and to the disk when its turn comes; if the queue is full or the disk failing, only the
  // former. A block that is there already stays as it is, and is used and kept as this one wishes. kInvalid: no
  // tokens, too many, or a payload over kMaxPayloadBytes.
  base::Status put(Block block);

  // Null: a miss. What comes from the disk was verified, and is in memory from then on. The payload is shared, not
  // copied. Errors: kCorrupt, kUnavailable; to be treated as a miss.
  base::Result<BlockPtr> get(const BlockHash& hash);

  // Evict it last until then (Clock::unix_ms(); never shortens). Such blocks take up to half of a tier.
  void keep(const BlockHash& hash, int64_t until_ms);

  // Of memory: what copying costs, measured at open(). Of the disk: measured at each read, at first a guess. Of
  // kNone: as of the disk, which is where it would go.
  ReadCost read_cost(Where where) const;

  Stats stats() const;
  bool has_disk() const { return disk_ != nullptr; }

  // Returns when what was put before is on the disk, and stays there through a power cut, or was dropped.
  void flush();

 private:
  BlockStore(const Options& options, const base::Clock& clock, base::Metrics& metrics);
  MemoryTier::Inserted remember(BlockPtr block);

  const base::Clock& clock_;
  mutable Tally tally_;
  MemoryTier memory_;
  const ReadCost memory_cost_;
  std::mutex gauges_mutex_;
  std::unique_ptr<DiskTier> disk_;  // null: none. Last, since its writer uses the tally
};

}  // namespace payonce::kv
