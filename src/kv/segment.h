// One file of the block log: a header, then records at multiples of kAlignBytes. Written once, by one run; never
// changed.
// Threads: append() and sync() one at a time; the rest any, also beside append().
// Errors: as base::Env; kCorrupt for bytes that are not what was written.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/result.h"
#include "kv/record.h"

namespace payonce::kv {

class Segment {
 public:
  static std::string file_name(uint64_t id);          // "0000000042.kvb"
  static uint64_t id_of(std::string_view file_name);  // 0: not the name of a segment

  static base::Result<std::shared_ptr<Segment>> create(base::Env& env, const std::string& directory, uint64_t id,
                                                       const base::Digest& fingerprint);
  static base::Result<std::shared_ptr<Segment>> open(base::Env& env, const std::string& directory, uint64_t id);

  uint64_t id() const { return header_.id; }
  uint64_t seed() const { return header_.seed; }
  const base::Digest& fingerprint() const { return header_.fingerprint; }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

  // `record`: as encode_record() made it. Returns its offset. After an error the tail may be torn: append no more.
  base::Result<uint64_t> append(std::string_view record);
  base::Status sync() { return file_->sync(); }

  base::Result<RecordHeader> read_header(uint64_t offset) const;
  // The whole block of a header that was read there, verified. Its payload is a part of the one buffer that was read.
  base::Result<BlockPtr> read_block(uint64_t offset, const RecordHeader& header) const;

  // Every record whose header can be read, in order; payloads are not looked at. Between damaged headers it tries
  // each boundary. Returns how many damaged stretches there were; what follows the last good record is a torn tail.
  using Visit = std::function<void(const RecordHeader& header, uint64_t offset)>;
  base::Result<uint64_t> scan(const Visit& visit) const;

 private:
  Segment(SegmentHeader header, std::unique_ptr<base::File> file, uint64_t bytes)
      : header_(header), file_(std::move(file)), bytes_(bytes) {}

  const SegmentHeader header_;
  const std::unique_ptr<base::File> file_;
  std::atomic<uint64_t> bytes_;
};

}  // namespace payonce::kv
