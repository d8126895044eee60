// One file of the response log: a header, then records one after the other. Written once, by one run; never changed.
// Threads: append() and sync() one at a time; the rest any, also beside append().
// Errors: as base::Env; kCorrupt for a damaged header.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/result.h"
#include "cache/record.h"

namespace payonce::cache {

class Segment {
 public:
  static std::string file_name(uint64_t id);          // "0000000042.log"
  static uint64_t id_of(std::string_view file_name);  // 0: not the name of a segment

  // The header and the directory are synced when create() returns: a file of more than a header has a whole one.
  static base::Result<std::shared_ptr<Segment>> create(base::Env& env, const std::string& directory, uint64_t id,
                                                       uint64_t session);
  static base::Result<std::shared_ptr<Segment>> open(base::Env& env, const std::string& directory, uint64_t id);

  uint64_t id() const { return header_.id; }
  uint64_t session() const { return header_.session; }
  uint64_t seed() const { return header_.seed; }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }
  uint64_t records() const { return records_.load(std::memory_order_relaxed); }

  // Returns the record's offset. After an error the tail may be torn: append no more to this segment.
  base::Result<uint64_t> append(std::string_view record);
  base::Status sync();
  base::Result<std::string> read(uint64_t offset, size_t size) const;

  // Every record that can be read, in order: its header, key and meta (not yet verified), offset. False ends the
  // scan. A damaged stretch is skipped up to the next record; returns how many there were. A torn tail is not damage.
  using Visit = std::function<bool(const RecordHeader& header, std::string_view front, uint64_t offset)>;
  base::Result<uint64_t> scan(const Visit& visit);

 private:
  class Window;
  Segment(SegmentHeader header, std::unique_ptr<base::File> file, uint64_t bytes)
      : header_(header), file_(std::move(file)), bytes_(bytes) {}

  const SegmentHeader header_;
  const std::unique_ptr<base::File> file_;
  std::atomic<uint64_t> bytes_;
  std::atomic<uint64_t> records_{0};
};

}  // namespace payonce::cache
