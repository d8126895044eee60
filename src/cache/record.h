// The response log's bytes: segment header, put and purge records. docs/formats/response-log.md describes each of
// them; change both together and raise kFormatVersion.
// Threads: pure functions; a Codec one thread at a time.  Errors: kCorrupt, for bytes that are not what was written;
// nothing is allocated, copied or decompressed before its size was checked against these limits.
#pragma once

#include <zstd.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/entry.h"
#include "cache/purge.h"

namespace payonce::cache {

inline constexpr uint16_t kFormatVersion = 1;
inline constexpr size_t kSegmentHeaderBytes = 40;
inline constexpr size_t kRecordHeaderBytes = 88;
inline constexpr size_t kMaxKeyBytes = 4096;
inline constexpr size_t kMaxMetaBytes = 64 << 10;
inline constexpr size_t kMaxValueBytes = 256u << 20;
inline constexpr std::string_view kRecordMagic = "PoR1";

struct SegmentHeader {
  uint64_t id = 0;
  uint64_t session = 0;  // id of the first segment of the run that wrote it
  uint64_t seed = 0;     // random; keys all checksums in the segment, so that no content can look like a record
};
std::string encode_segment_header(const SegmentHeader& header);
base::Result<SegmentHeader> decode_segment_header(std::string_view bytes);

enum class RecordType : uint8_t { kPut = 1, kPurge = 2 };

struct RecordHeader {
  RecordType type = RecordType::kPut;
  bool compressed = false;
  uint64_t sequence = 0;    // order of all changes over the life of the log
  uint64_t last_purge = 0;  // sequence of the last purge that was on disk when this was written
  int64_t created_ms = 0;
  int64_t expires_ms = 0;
  uint32_t key_size = 0, meta_size = 0, stored_size = 0, raw_size = 0;
  uint64_t meta_checksum = 0;
  uint64_t checksum_low = 0, checksum_high = 0;
  uint64_t total_bytes() const { return kRecordHeaderBytes + uint64_t{key_size} + meta_size + stored_size; }
};
// Verifies magic, checksum and sizes. `bytes` starts with the header.
base::Result<RecordHeader> decode_record_header(std::string_view bytes, uint64_t seed);

// The parts of a put record that stand before the value: enough for the index.
struct RecordLabels {
  std::string_view key, scope, versions, model;  // into the bytes given
  uint32_t body_size = 0;
};
// `bytes`: key and meta, as they follow the header; verified.
base::Result<RecordLabels> decode_labels(const RecordHeader& header, std::string_view bytes, uint64_t seed);
base::Result<Purge> decode_purge(const RecordHeader& header, std::string_view bytes, uint64_t seed);

// Keeps the compressor's and the decompressor's memory.
class Codec {
 public:
  Codec();
  struct Stamp {
    uint64_t sequence = 0, last_purge = 0, seed = 0;
  };
  // nullopt: a part is over a limit, or the pace arrays differ in length; the entry is not for the disk.
  std::optional<std::string> encode_put(const Entry& entry, const Stamp& stamp);
  // nullopt: a part is over a limit, so that no record can match it.
  static std::optional<std::string> encode_purge(const Purge& purge, const Stamp& stamp);

  // A whole put record. kCorrupt also when it is not of `key` or not of `sequence`.
  static base::Result<EntryPtr> decode_put(std::string_view bytes, std::string_view key, uint64_t sequence,
                                           uint64_t seed);

 private:
  struct Free {
    void operator()(ZSTD_CCtx* context) const { ZSTD_freeCCtx(context); }
  };
  std::unique_ptr<ZSTD_CCtx, Free> compressor_;
};

}  // namespace payonce::cache
