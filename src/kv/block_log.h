// The block log: a directory of segments, appended to by one writer, read by all, shortened at its oldest end. Every
// run starts a new segment, so nothing is ever appended behind a torn tail. Segments of another fingerprint stay
// (they are of use when their model is loaded again), count as bytes, and are neither read nor spared; segments of
// another format, or with a damaged header, are removed when the log is opened. Other files are not touched. Threads:
// append(), sync(), scan(), close_oldest() and remove_oldest() one at a time (the writer); the rest any. Errors: as
// base::Env; kNotFound for a block whose segment is gone; kCorrupt for one that is not what was written.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/result.h"
#include "kv/segment.h"

namespace payonce::kv {

struct Place {
  uint64_t segment = 0;  // 0: nowhere
  uint64_t offset = 0;
  bool operator==(const Place&) const = default;
};

class BlockLog {
 public:
  struct Options {
    std::string directory;  // exists
    base::Digest fingerprint{};
    uint64_t segment_bytes = 64u << 20;  // a segment that would grow beyond it is followed by a new one
  };
  static base::Result<std::unique_ptr<BlockLog>> open(base::Env& env, const base::Clock& clock, Options options);

  // Visits the records of this fingerprint, oldest first; removes segments without any. Returns how many stretches
  // were damaged.
  using Visit = std::function<void(const RecordHeader& header, const Place& place)>;
  uint64_t scan(const Visit& visit);

  // After an error the current segment is given up, and the next append() starts a new one.
  base::Result<Place> append(const Block& block);
  base::Status sync();  // all that was appended, and the directory

  struct Loaded {
    BlockPtr block;
    int64_t latency_us = 0;  // until the header was there
    int64_t payload_us = 0;  // from then until all was read and verified
  };
  base::Result<Loaded> read(const Place& place, const BlockHash& hash) const;

  uint64_t bytes() const;
  size_t segments() const;
  uint64_t oldest() const;  // id; 0: none
  uint64_t bytes_of(uint64_t segment) const;
  uint64_t close_oldest();  // nothing more is appended to it; its id, 0: none
  base::Status remove_oldest();

 private:
  BlockLog(base::Env& env, const base::Clock& clock, Options options)
      : env_(env), clock_(clock), options_(std::move(options)) {}
  std::string path_of(uint64_t id) const { return options_.directory + "/" + Segment::file_name(id); }
  base::Status prepare(uint64_t record_bytes);
  void forget(uint64_t id);

  base::Env& env_;
  const base::Clock& clock_;
  const Options options_;
  uint64_t next_id_ = 1;  // writer only; so are the next three
  std::shared_ptr<Segment> current_;
  std::string buffer_;  // the record that is being written
  bool is_dirty_ = false;

  mutable std::mutex mutex_;
  std::map<uint64_t, std::shared_ptr<Segment>> segments_;  // guarded by mutex_
};

}  // namespace payonce::kv
