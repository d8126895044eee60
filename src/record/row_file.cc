#include "record/row_file.h"

#include <fmt/format.h>
#include <zstd.h>

#include <algorithm>
#include <utility>

namespace payonce::record {
namespace {

constexpr int kLevel = 3;
constexpr size_t kStep_bytes = 1 << 20;

}  // namespace

RowFile::RowFile(base::Env& env, std::string name, uint64_t max_bytes)
    : env_(env), name_(std::move(name)), max_bytes_(max_bytes), packed_(name_.ends_with(".zst")) {}

base::Result<std::unique_ptr<RowFile>> RowFile::open(base::Env& env, std::string name, uint64_t max_bytes) {
  std::unique_ptr<RowFile> out(new RowFile(env, std::move(name), max_bytes));
  PAYONCE_CHECK_OK(out->reopen());
  return out;
}

base::Status RowFile::reopen() {
  PAYONCE_TRY(file_, env_.open(name_, base::Env::Mode::kAppend));
  PAYONCE_TRY(const uint64_t size, file_->size());
  PAYONCE_TRY(size_, whole_size());
  if (size_ < size) PAYONCE_CHECK_OK(file_->truncate(size_));
  return {};
}

// How much of the file is whole lines, or whole frames.
base::Result<uint64_t> RowFile::whole_size() const {
  PAYONCE_TRY(const uint64_t size, file_->size());
  std::string part;
  if (!packed_) {
    for (uint64_t end = size; end > 0;) {
      const uint64_t begin = end > kStep_bytes ? end - kStep_bytes : 0;
      part.resize(end - begin);
      PAYONCE_TRY(const size_t got, file_->read_at(begin, part.data(), part.size()));
      const size_t newline = std::string_view(part).substr(0, got).rfind('\n');
      if (newline != std::string::npos) return begin + newline + 1;
      end = begin;
    }
    return uint64_t{0};
  }
  uint64_t whole = 0;  // frames follow one another; `part` holds what comes behind the whole ones
  for (uint64_t at = 0; at < size;) {
    const size_t kept = part.size();
    part.resize(kept + static_cast<size_t>(std::min<uint64_t>(kStep_bytes, size - at)));
    PAYONCE_TRY(const size_t got, file_->read_at(at, part.data() + kept, part.size() - kept));
    if (got == 0) break;
    at += got;
    size_t used = 0;
    while (used < part.size()) {
      const size_t frame = ZSTD_findFrameCompressedSize(part.data() + used, part.size() - used);
      if (ZSTD_isError(frame)) break;
      used += frame;
    }
    whole += used;
    part.erase(0, used);
  }
  return whole;
}

base::Status RowFile::rotate() {
  file_.reset();
  PAYONCE_CHECK_OK(env_.rename(name_, name_ + ".1"));
  return reopen();
}

base::Status RowFile::append(std::string_view lines) {
  std::string packed;
  if (packed_) {
    packed.resize(ZSTD_compressBound(lines.size()));
    const size_t size = ZSTD_compress(packed.data(), packed.size(), lines.data(), lines.size(), kLevel);
    if (ZSTD_isError(size))
      return base::fail(base::Code::kInternal, fmt::format("zstd: {}", ZSTD_getErrorName(size)));
    packed.resize(size);
    lines = packed;
  }
  if (size_ > 0 && size_ + lines.size() > max_bytes_ / 2) PAYONCE_CHECK_OK(rotate());
  if (const auto written = file_->append(lines); !written) {
    (void)file_->truncate(size_);
    return written;
  }
  size_ += lines.size();
  return {};
}

}  // namespace payonce::record
