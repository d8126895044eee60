// The disk tier's index: for each key where its newest record stands, and what a purge or a listing needs to know of
// it. Every change carries a sequence, given out when it was asked for; the higher one wins, in whatever order the
// changes arrive from callers, from the writer and from the scan of the log at the start.
// Threads: all methods any. A shard's mutex is held for the look-up, or for the walk over that one shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/hash.h"
#include "cache/purge.h"

namespace payonce::cache {

struct Location {
  uint64_t segment = 0;
  uint64_t offset = 0;
  uint32_t size = 0;  // 0: nowhere yet
};

struct Labels {
  std::string scope, versions, model;
};

struct Slot {
  uint64_t sequence = 0;
  Location location;
  uint32_t body_bytes = 0;
  uint32_t hits = 0;
  int64_t created_ms = 0;
  int64_t expires_ms = 0;
  std::shared_ptr<const Labels> labels;  // shared by all that have the same
  bool on_disk() const { return location.size > 0; }
  Traits traits(std::string_view key) const {
    return {.key = key,
            .scope = labels->scope,
            .versions = labels->versions,
            .model = labels->model,
            .created_ms = created_ms};
  }
};

class DiskIndex {
 public:
  DiskIndex();
  ~DiskIndex();

  std::shared_ptr<const Labels> intern(std::string_view scope, std::string_view versions, std::string_view model);

  std::optional<Slot> find(std::string_view key) const;
  // Replaces what has a lower sequence; false when something newer is there, or a purge that was still to be awaited.
  bool put(std::string_view key, Slot slot);
  bool publish(std::string_view key, uint64_t sequence, const Location& location);  // false: replaced or purged since
  bool drop(std::string_view key, uint64_t sequence);                               // only if it is still that one
  void count_hit(std::string_view key);
  // What has a lower sequence and matches; its keys go to `removed` when given.
  uint64_t purge(const Purge& purge, std::unordered_set<std::string>* removed);
  uint64_t drop_segments_until(uint64_t segment);  // inclusive
  uint64_t drop_expired(int64_t now_ms);
  void for_each(const std::function<void(const std::string& key, const Slot& slot)>& visit) const;

  // While the log is scanned, purges and drops are remembered, so that they also meet records that are read after
  // them.
  void end_scan();
  // What is older may have been purged by a record that was lost: while the scan goes on it is not let in.
  void set_floor(uint64_t sequence);

  uint64_t entries() const { return on_disk_.load(std::memory_order_relaxed); }

 private:
  struct Shard;
  Shard& shard_of(const base::Hash128& hash) const;
  void remember(std::string_view key, uint64_t sequence);
  bool is_purged(std::string_view key, const Slot& slot) const;
  uint64_t erase_if(const std::function<bool(const std::string&, const Slot&)>& matches);

  const base::KeyedHash hash_;
  std::unique_ptr<Shard[]> shards_;
  std::atomic<uint64_t> on_disk_{0};

  std::mutex labels_mutex_;
  std::unordered_map<std::string, std::weak_ptr<const Labels>> labels_;  // guarded by labels_mutex_
  size_t labels_sweep_at_ = 1024;                                        // guarded by labels_mutex_

  std::atomic<bool> scanning_{true};
  mutable std::mutex purges_mutex_;                       // taken inside of a shard's
  std::vector<Purge> purges_;                             // guarded by purges_mutex_
  std::unordered_map<std::string, uint64_t> key_purges_;  // of exactly one key; guarded by purges_mutex_
  uint64_t floor_ = 0;                                    // guarded by purges_mutex_
};

}  // namespace payonce::cache
