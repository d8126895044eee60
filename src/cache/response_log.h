// The response log: a directory of segments, appended to by one writer, read by all, emptied from its oldest end.
// Every run starts a new segment, so nothing is ever appended behind a torn tail.
// Threads: prepare(), append(), sync() and remove_until() one at a time (the writer); the rest any.
// Errors: as base::Env. After a failed append or sync the current segment is given up and the next one is new.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/result.h"
#include "cache/disk_index.h"
#include "cache/segment.h"

namespace payonce::cache {

class ResponseLog {
 public:
  struct Options {
    std::string directory;
    uint64_t segment_bytes = 64u << 20;  // a segment takes no more records when it has as many
    uint64_t segment_records = 32768;    // so that tiny answers cannot make the index large
    size_t segment_limit = 256;          // files, each of which is kept open
  };
  struct Opened {
    std::unique_ptr<ResponseLog> log;
    uint64_t faults = 0;  // segments that could not be read, and were removed with all older ones
  };
  static base::Result<Opened> open(base::Env& env, Options options);

  uint64_t session() const { return session_; }

  // The segment that the next append() goes to; makes a new one if needed.
  base::Result<std::shared_ptr<Segment>> prepare();
  base::Result<Location> append(std::string_view record);
  base::Status sync();  // all that was appended; nothing to do when nothing was
  bool is_dirty() const { return dirty_; }

  uint64_t bytes() const;
  size_t segments() const;
  bool too_many_segments() const { return segments() >= options_.segment_limit; }
  uint64_t oldest() const;  // 0: none
  uint64_t newest() const;  // 0: none
  bool oldest_is_current() const;
  // Deletes segments, oldest first; a purge therefore outlives what it covers. Stops at the first that cannot be
  // deleted.
  base::Status remove_until(uint64_t id);

  std::shared_ptr<Segment> segment(uint64_t id) const;  // null: deleted
  std::vector<std::shared_ptr<Segment>> newest_first() const;

 private:
  ResponseLog(base::Env& env, Options options) : env_(env), options_(std::move(options)) {}
  void give_up_current();

  base::Env& env_;
  const Options options_;
  uint64_t session_ = 1;
  uint64_t next_id_ = 1;  // writer only; so are the next three
  std::shared_ptr<Segment> current_;
  bool dirty_ = false;
  bool directory_dirty_ = false;  // a deletion is not yet synced

  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Segment>> segments_;  // guarded by mutex_
};

}  // namespace payonce::cache
