// The block log's bytes: segment header and block records. docs/formats/kv-block-log.md describes each of them;
// change both together and raise kFormatVersion. Threads: pure functions.  Errors: kCorrupt, for bytes that are not
// what was written. Nothing is allocated before its size was checked.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kv/block.h"

namespace payonce::kv {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr size_t kAlignBytes = 4096;  // where records start
inline constexpr size_t kSegmentHeaderBytes = 64;
inline constexpr size_t kRecordHeaderBytes = 192;

struct SegmentHeader {
  uint64_t id = 0;
  uint64_t seed = 0;  // random; keys all checksums in the segment, so that no payload can look like a record
  base::Digest fingerprint{};
};
std::string encode_segment_header(const SegmentHeader& header);  // kAlignBytes, zeros behind the header
base::Result<SegmentHeader> decode_segment_header(std::string_view bytes);

struct RecordHeader {
  BlockHash hash{};
  BlockHash parent{};
  std::array<int32_t, kBlockTokens> tokens{};
  uint16_t token_count = 0;
  uint32_t payload_bytes = 0;
  int64_t keep_until_ms = 0;
  uint64_t checksum_low = 0, checksum_high = 0;  // of all that follows it, payload included
  std::span<const int32_t> used_tokens() const { return {tokens.data(), token_count}; }
  uint64_t record_bytes() const { return kRecordHeaderBytes + uint64_t{payload_bytes}; }
  // From this record to the next.
  uint64_t stride_bytes() const { return (record_bytes() + kAlignBytes - 1) / kAlignBytes * kAlignBytes; }
};

// Writes the whole record, zeros up to the next boundary included, into `out`, whose memory is used again.
void encode_record(const Block& block, uint64_t seed, std::string& out);
// Verifies magic, header checksum and sizes. `bytes` starts with the header.
base::Result<RecordHeader> decode_record_header(std::string_view bytes, uint64_t seed);
// `record`: header and payload, without what stands behind it. Verifies that `header`, decoded from it, and the
// payload are what was written together.
base::Status verify_record(const RecordHeader& header, std::string_view record, uint64_t seed);

}  // namespace payonce::kv
