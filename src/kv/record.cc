#include "kv/record.h"

#include <fmt/format.h>
#include <xxhash.h>
#if defined(__x86_64__) && __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>  // AVX2 or AVX-512 where the machine has it
#endif

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "base/little_endian.h"

namespace payonce::kv {
namespace {

using base::Code;
using base::fail;
using base::NumberReader;
using base::put_number;

constexpr std::string_view kSegmentMagic = "PAYKVBL1";
constexpr std::string_view kRecordMagic{"PoK1\0\0\0\0", 8};
constexpr size_t kHeaderChecked = 16;  // the header's checksum covers it from here on
constexpr size_t kRecordChecked = 32;  // the record's checksum covers it from here on

uint64_t checksum64(std::string_view bytes, uint64_t seed) {
  return XXH3_64bits_withSeed(bytes.data(), bytes.size(), seed);
}

std::string_view text_of(const base::Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

base::Digest digest_of(std::string_view text) {
  base::Digest digest{};
  std::copy(text.begin(), text.end(), digest.begin());  // text is as long, or empty past the end
  return digest;
}

bool is_zero(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c == '\0'; });
}

}  // namespace

std::string encode_segment_header(const SegmentHeader& header) {
  std::string out(kSegmentMagic);
  put_number(out, header.id);
  put_number(out, header.seed);
  out.append(text_of(header.fingerprint));
  put_number(out, checksum64(out, kFormatVersion));
  out.resize(kAlignBytes, '\0');
  return out;
}

base::Result<SegmentHeader> decode_segment_header(std::string_view bytes) {
  bytes = bytes.substr(0, kSegmentHeaderBytes);
  NumberReader in(bytes);
  const bool magic = in.text(kSegmentMagic.size()) == kSegmentMagic;
  SegmentHeader header;
  header.id = in.number<uint64_t>();
  header.seed = in.number<uint64_t>();
  header.fingerprint = digest_of(in.text(header.fingerprint.size()));
  const auto checksum = in.number<uint64_t>();
  if (!in.ok() || !magic || checksum != checksum64(bytes.substr(0, kSegmentHeaderBytes - 8), kFormatVersion))
    return fail(Code::kCorrupt, fmt::format("segment header: expected format {}, found other bytes", kFormatVersion));
  return header;
}

void encode_record(const Block& block, uint64_t seed, std::string& out) {
  const size_t count = block.tokens.size();
  PAYONCE_ASSERT(count > 0 && count <= kBlockTokens && block.payload.size() <= kMaxPayloadBytes);
  std::string fields;
  put_number(fields, block.keep_until_ms);
  put_number(fields, static_cast<uint32_t>(block.payload.size()));
  put_number(fields, static_cast<uint16_t>(count));
  put_number(fields, uint16_t{0});
  fields.append(text_of(block.hash)).append(text_of(block.parent));
  for (const int32_t token : block.tokens) put_number(fields, token);
  fields.resize(kRecordHeaderBytes - kRecordChecked, '\0');

  out.assign(kRecordChecked, '\0');
  out.append(fields).append(block.payload.view());
  const std::string_view checked = std::string_view(out).substr(kRecordChecked);
  const XXH128_hash_t checksum = XXH3_128bits_withSeed(checked.data(), checked.size(), seed);
  std::string sums;
  put_number(sums, uint64_t{checksum.low64});
  put_number(sums, uint64_t{checksum.high64});
  std::string front(kRecordMagic);
  put_number(front, checksum64(sums + fields, seed));
  out.replace(0, kRecordChecked, front + sums);
  out.append((kAlignBytes - out.size() % kAlignBytes) % kAlignBytes, '\0');
}

base::Result<RecordHeader> decode_record_header(std::string_view bytes, uint64_t seed) {
  bytes = bytes.substr(0, kRecordHeaderBytes);
  NumberReader in(bytes);
  if (in.text(kRecordMagic.size()) != kRecordMagic) return fail(Code::kCorrupt, "record: no magic");
  const auto sum = in.number<uint64_t>();
  RecordHeader header;
  header.checksum_low = in.number<uint64_t>();
  header.checksum_high = in.number<uint64_t>();
  header.keep_until_ms = in.number<int64_t>();
  header.payload_bytes = in.number<uint32_t>();
  header.token_count = in.number<uint16_t>();
  const auto reserved = in.number<uint16_t>();
  header.hash = digest_of(in.text(header.hash.size()));
  header.parent = digest_of(in.text(header.parent.size()));
  for (int32_t& token : header.tokens) token = in.number<int32_t>();
  const std::string_view rest = in.text(16);
  if (!in.ok() || sum != checksum64(bytes.substr(kHeaderChecked), seed))
    return fail(Code::kCorrupt, "record: header fails its checksum");
  const bool counted = header.token_count > 0 && header.token_count <= kBlockTokens;
  if (!counted || header.payload_bytes > kMaxPayloadBytes || reserved != 0 || !is_zero(rest))
    return fail(Code::kCorrupt, "record: header names a size over its limit, or uses what is reserved");
  return header;
}

base::Status verify_record(const RecordHeader& header, std::string_view record, uint64_t seed) {
  if (record.size() != header.record_bytes())
    return fail(Code::kCorrupt,
                fmt::format("record: expected {} bytes, found {}", header.record_bytes(), record.size()));
  const std::string_view checked = record.substr(kRecordChecked);
  const XXH128_hash_t checksum = XXH3_128bits_withSeed(checked.data(), checked.size(), seed);
  if (checksum.low64 != header.checksum_low || checksum.high64 != header.checksum_high)
    return fail(Code::kCorrupt, "record: fails its checksum");
  return {};
}

}  // namespace payonce::kv
