#include "cache/segment.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/hash.h"
#include "base/numbered_file.h"

namespace payonce::cache {
namespace {

using base::Code;
using base::fail;

constexpr std::string_view kExtension = ".log";
constexpr size_t kWindowBytes = 256 << 10;

}  // namespace

// A moving view of the file, so that a scan costs one read per 256 KiB and not one per record.
class Segment::Window {
 public:
  Window(const base::File& file, uint64_t end) : file_(file), end_(end) {}

  // Up to `size` bytes at `offset`; fewer at the end. Valid until the next call.
  base::Result<std::string_view> at(uint64_t offset, size_t size) {
    if (offset >= end_) return std::string_view();
    size = static_cast<size_t>(std::min<uint64_t>(size, end_ - offset));
    if (offset < start_ || offset + size > start_ + buffer_.size()) {
      buffer_.resize(static_cast<size_t>(std::min<uint64_t>(std::max(size, kWindowBytes), end_ - offset)));
      PAYONCE_TRY(const size_t got, file_.read_past_damage(offset, buffer_.data(), buffer_.size()));
      buffer_.resize(got);
      start_ = offset;
    }
    return std::string_view(buffer_).substr(static_cast<size_t>(offset - start_), size);
  }

  // Where the next magic stands at or after `offset`; the end when there is none.
  base::Result<uint64_t> find_magic(uint64_t offset) {
    while (offset < end_) {
      PAYONCE_TRY(const std::string_view bytes, at(offset, kWindowBytes));
      if (const size_t found = bytes.find(kRecordMagic); found != std::string_view::npos) return offset + found;
      if (bytes.size() < kRecordMagic.size()) break;
      offset += bytes.size() - (kRecordMagic.size() - 1);
      if (bytes.size() < kWindowBytes) break;
    }
    return end_;
  }

 private:
  const base::File& file_;
  const uint64_t end_;
  std::string buffer_;
  uint64_t start_ = 0;
};

std::string Segment::file_name(uint64_t id) { return base::numbered_file_name(id, kExtension); }

uint64_t Segment::id_of(std::string_view file_name) { return base::number_of_file(file_name, kExtension); }

base::Result<std::shared_ptr<Segment>> Segment::create(base::Env& env, const std::string& directory, uint64_t id,
                                                       uint64_t session) {
  SegmentHeader header{.id = id, .session = session};
  base::random_bytes(&header.seed, sizeof header.seed);
  PAYONCE_TRY(auto file, env.open(directory + "/" + file_name(id), base::Env::Mode::kAppend));
  PAYONCE_TRY(const uint64_t size, file->size());
  if (size != 0)
    return fail(Code::kCorrupt, fmt::format("segment {}: expected a new file, found {} bytes", id, size));
  PAYONCE_CHECK_OK(file->append(encode_segment_header(header)));
  PAYONCE_CHECK_OK(file->sync());
  PAYONCE_CHECK_OK(env.sync_directory(directory));
  return std::shared_ptr<Segment>(new Segment(header, std::move(file), kSegmentHeaderBytes));
}

base::Result<std::shared_ptr<Segment>> Segment::open(base::Env& env, const std::string& directory, uint64_t id) {
  PAYONCE_TRY(auto file, env.open(directory + "/" + file_name(id), base::Env::Mode::kReadOnly));
  PAYONCE_TRY(const uint64_t size, file->size());
  std::string bytes(kSegmentHeaderBytes, '\0');
  PAYONCE_TRY(const size_t got, file->read_at(0, bytes.data(), bytes.size()));
  PAYONCE_TRY(const SegmentHeader header, decode_segment_header(std::string_view(bytes).substr(0, got)));
  if (header.id != id) return fail(Code::kCorrupt, fmt::format("segment {}: its header says {}", id, header.id));
  return std::shared_ptr<Segment>(new Segment(header, std::move(file), size));
}

base::Result<uint64_t> Segment::append(std::string_view record) {
  const uint64_t offset = bytes();
  PAYONCE_CHECK_OK(file_->append(record));
  bytes_.store(offset + record.size(), std::memory_order_relaxed);
  records_.fetch_add(1, std::memory_order_relaxed);
  return offset;
}

base::Status Segment::sync() { return file_->sync(); }

base::Result<std::string> Segment::read(uint64_t offset, size_t size) const {
  std::string out(size, '\0');
  PAYONCE_TRY(const size_t got, file_->read_at(offset, out.data(), size));
  if (got != size)
    return fail(Code::kCorrupt, fmt::format("segment {}: expected {} bytes, found {}", id(), size, got));
  return out;
}

base::Result<uint64_t> Segment::scan(const Visit& visit) {
  const uint64_t end = bytes();
  Window window(*file_, end);
  uint64_t damaged = 0;
  uint64_t offset = kSegmentHeaderBytes;
  bool in_gap = false;
  while (offset < end) {
    PAYONCE_TRY(const std::string_view bytes, window.at(offset, kRecordHeaderBytes));
    const auto header = decode_record_header(bytes, seed());
    if (!header) {
      in_gap = true;
      PAYONCE_TRY(offset, window.find_magic(offset + 1));
      continue;
    }
    if (offset + header->total_bytes() > end) break;  // torn
    if (std::exchange(in_gap, false)) ++damaged;
    PAYONCE_TRY(const std::string_view front,
                window.at(offset + kRecordHeaderBytes, size_t{header->key_size} + header->meta_size));
    records_.fetch_add(1, std::memory_order_relaxed);
    if (!visit(*header, front, offset)) return damaged;
    offset += header->total_bytes();
  }
  return damaged;
}

}  // namespace payonce::cache
