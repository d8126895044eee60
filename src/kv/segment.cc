#include "kv/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/hash.h"
#include "base/numbered_file.h"

namespace payonce::kv {
namespace {

using base::Code;
using base::fail;

constexpr std::string_view kExtension = ".kvb";

// make_shared<char[]> would fill it with zeros first.
std::shared_ptr<char[]> buffer_of(size_t size) { return std::make_shared_for_overwrite<char[]>(size); }

}  // namespace

std::string Segment::file_name(uint64_t id) { return base::numbered_file_name(id, kExtension); }

uint64_t Segment::id_of(std::string_view file_name) { return base::number_of_file(file_name, kExtension); }

base::Result<std::shared_ptr<Segment>> Segment::create(base::Env& env, const std::string& directory, uint64_t id,
                                                       const base::Digest& fingerprint) {
  SegmentHeader header{.id = id, .fingerprint = fingerprint};
  base::random_bytes(&header.seed, sizeof header.seed);
  PAYONCE_TRY(auto file, env.open(directory + "/" + file_name(id), base::Env::Mode::kAppend));
  PAYONCE_TRY(const uint64_t size, file->size());
  if (size != 0)
    return fail(Code::kCorrupt, fmt::format("segment {}: expected a new file, found {} bytes", id, size));
  PAYONCE_CHECK_OK(file->append(encode_segment_header(header)));
  return std::shared_ptr<Segment>(new Segment(header, std::move(file), kAlignBytes));
}

base::Result<std::shared_ptr<Segment>> Segment::open(base::Env& env, const std::string& directory, uint64_t id) {
  PAYONCE_TRY(auto file, env.open(directory + "/" + file_name(id), base::Env::Mode::kReadOnly));
  PAYONCE_TRY(const uint64_t size, file->size());
  std::array<char, kSegmentHeaderBytes> bytes{};
  PAYONCE_TRY(const size_t got, file->read_at(0, bytes.data(), bytes.size()));
  PAYONCE_TRY(const SegmentHeader header, decode_segment_header({bytes.data(), got}));
  if (header.id != id) return fail(Code::kCorrupt, fmt::format("segment {}: its header says {}", id, header.id));
  return std::shared_ptr<Segment>(new Segment(header, std::move(file), size));
}

base::Result<uint64_t> Segment::append(std::string_view record) {
  const uint64_t offset = bytes();
  auto appended = file_->append(record);
  if (!appended) {
    (void)file_->truncate(offset);  // a torn tail does no harm, but takes space that is not counted
    return fail(std::move(appended.error()));
  }
  bytes_.store(offset + record.size(), std::memory_order_relaxed);
  return offset;
}

base::Result<RecordHeader> Segment::read_header(uint64_t offset) const {
  std::array<char, kRecordHeaderBytes> bytes{};
  PAYONCE_TRY(const size_t got, file_->read_at(offset, bytes.data(), bytes.size()));
  return decode_record_header({bytes.data(), got}, seed());
}

base::Result<BlockPtr> Segment::read_block(uint64_t offset, const RecordHeader& header) const {
  const auto size = static_cast<size_t>(header.record_bytes());
  const std::shared_ptr<char[]> buffer = buffer_of(size);
  PAYONCE_TRY(const size_t got, file_->read_at(offset, buffer.get(), size));
  const std::string_view record(buffer.get(), got);
  PAYONCE_CHECK_OK(verify_record(header, record, seed()));
  const auto tokens = header.used_tokens();
  return std::make_shared<const Block>(Block{.hash = header.hash,
                                             .parent = header.parent,
                                             .tokens = {tokens.begin(), tokens.end()},
                                             .payload = base::Bytes(buffer, record.substr(kRecordHeaderBytes)),
                                             .keep_until_ms = header.keep_until_ms});
}

base::Result<uint64_t> Segment::scan(const Visit& visit) const {
  const uint64_t end = bytes();
  uint64_t damaged = 0;
  bool in_gap = false;
  for (uint64_t offset = kAlignBytes; offset + kRecordHeaderBytes <= end;) {
    const auto header = read_header(offset);
    if (!header && header.error().code != Code::kCorrupt) return fail(header.error());
    if (!header) {
      in_gap = true;
      offset += kAlignBytes;
      continue;
    }
    if (offset + header->record_bytes() > end) break;  // torn
    if (std::exchange(in_gap, false)) ++damaged;
    visit(*header, offset);
    offset += header->stride_bytes();
  }
  return damaged;
}

}  // namespace payonce::kv
