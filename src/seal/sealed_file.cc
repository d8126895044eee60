#include "seal/sealed_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "base/hash.h"

namespace payonce::seal {
namespace {

using base::Code;
using base::fail;

constexpr size_t kReadBytes = 1 << 20;     // at most at once
constexpr size_t kScanBytes = 64 << 10;    // ahead of a head, where frames are small
constexpr uint32_t kSmallBytes = 8 << 10;  // such frames

uint64_t piece_place(uint64_t frame_place, uint32_t index) {
  return frame_place + kFrontBytes + uint64_t{index} * kSealedPieceBytes;
}

}  // namespace

// A moving view of the file below, so that many small frames cost one read.
class SealedFile::Window {
 public:
  explicit Window(const base::File& file) : file_(file) {}

  // `size` bytes at `place`, fewer at the end of the file; reads on up to `until` where it has to read. Valid until
  // the next call.
  base::Result<std::string_view> at(uint64_t place, size_t size, uint64_t until) {
    if (place < start_ || place + size > start_ + filled_) {
      const uint64_t wanted =
          std::max<uint64_t>(size, std::min<uint64_t>(until - std::min(until, place), kReadBytes));
      if (wanted > room_) {
        room_ = static_cast<size_t>(wanted);
        buffer_ = std::make_unique_for_overwrite<char[]>(room_);
      }
      PAYONCE_TRY(filled_, file_.read_at(place, buffer_.get(), static_cast<size_t>(wanted)));
      start_ = place;
    }
    const auto skipped = static_cast<size_t>(place - start_);
    return std::string_view(buffer_.get() + skipped, std::min(size, filled_ - skipped));
  }

 private:
  const base::File& file_;
  std::unique_ptr<char[]> buffer_;
  size_t room_ = 0, filled_ = 0;
  uint64_t start_ = 0;
};

base::Result<std::unique_ptr<SealedFile>> SealedFile::open(std::unique_ptr<base::File> file, KeysPtr keys,
                                                           std::string name, base::Counter faults) {
  std::unique_ptr<SealedFile> out(new SealedFile(std::move(file), std::move(keys), std::move(name), faults));
  PAYONCE_CHECK_OK(out->read_header());
  if (out->sealer_) PAYONCE_CHECK_OK(out->find_frames());
  return out;
}

base::Status SealedFile::read_header() {
  std::array<char, kFileHeaderBytes> bytes;
  PAYONCE_TRY(const size_t got, file_->read_at(0, bytes.data(), bytes.size()));
  FileHeader header;
  switch (decode_file_header({bytes.data(), got}, header)) {
    case Look::kEmpty: has_tail_ = got > 0; return {};
    case Look::kPlain: return fail(Code::kCorrupt, fmt::format("{}: expected a sealed file, found another", name_));
    case Look::kDamaged: return fail(Code::kCorrupt, fmt::format("{}: its header is damaged", name_));
    case Look::kSealed: break;
  }
  const Key* key = keys_->find(header.key_id);
  if (key == nullptr)
    return fail(Code::kForbidden,
                fmt::format("{} is sealed under key {}, which is not given", name_, base::hex(header.key_id)));
  sealer_ = std::make_unique<const Sealer>(*key, header.salt, name_);
  end_ = kFileHeaderBytes;
  return {};
}

// From head to head; pieces are not looked at. After a damaged head the next one that verifies is searched for. It
// says where its bytes stand in the plain file, so that those of all others stay where they were.
base::Status SealedFile::find_frames() {
  PAYONCE_TRY(const uint64_t file_size, file_->size());
  Window window(*file_);
  Session session(*sealer_, Session::Way::kOpen);
  bool in_gap = false;
  for (uint64_t place = kFileHeaderBytes; place + kFrontBytes <= file_size;) {
    const bool small = frames_.empty() || frames_.back().size <= kSmallBytes || in_gap;
    PAYONCE_TRY(const std::string_view front, window.at(place, kFrontBytes, small ? place + kScanBytes : 0));
    const auto head = decode_head(front);
    if (!head || head->start < size_ || !verify_front(session, *head, front)) {
      in_gap = true;
      PAYONCE_TRY(const std::string_view rest, window.at(place + 1, kScanBytes, 0));
      const size_t next = rest.find(kFrameMagic);
      place += 1 + (next != std::string_view::npos ? next
                    : rest.size() > kFrontBytes    ? rest.size() - kFrameMagic.size() + 1
                                                   : kFrontBytes);
      continue;
    }
    if (place + head->sealed_bytes() > file_size) break;  // torn
    if (std::exchange(in_gap, false)) faults_.add();
    frames_.push_back({.start = head->start, .place = place, .size = head->size});
    size_ = head->start + head->size;
    place += head->sealed_bytes();
    end_ = place;
  }
  has_tail_ = end_ < file_size;
  return {};
}

base::Result<uint64_t> SealedFile::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

// Nothing is ever appended behind bytes that are no frame.
base::Status SealedFile::cut_tail() {
  if (!has_tail_) return {};
  PAYONCE_CHECK_OK(file_->truncate(end_));
  has_tail_ = false;
  return {};
}

base::Status SealedFile::append(std::string_view bytes) {
  PAYONCE_CHECK_OK(cut_tail());
  while (!bytes.empty()) {
    std::string out;
    if (!sealer_) {
      FileHeader header{.key_id = keys_->first().id(), .salt = std::string(kSaltBytes, '\0')};
      base::random_bytes(header.salt.data(), header.salt.size());
      sealer_ = std::make_unique<const Sealer>(keys_->first(), header.salt, name_);
      out = encode_file_header(header);
    }
    const bool is_first = end_ == 0;
    const std::string_view plain = bytes.substr(0, kMaxFrameBytes);
    const Frame frame{.start = size_, .place = end_ + out.size(), .size = static_cast<uint32_t>(plain.size())};
    encode_frame(*sealer_, frame.start, plain, out);
    if (auto written = file_->append(out); !written) {
      has_tail_ = true;  // some of it may be there
      if (is_first) sealer_.reset();
      return written;
    }
    end_ += out.size();
    const std::lock_guard lock(mutex_);
    frames_.push_back(frame);
    size_ += plain.size();
    bytes.remove_prefix(plain.size());
  }
  return {};
}

base::Status SealedFile::truncate(uint64_t size) {
  std::string kept;  // of a frame in whose middle the new end lies: sealed anew
  {
    const std::lock_guard lock(mutex_);
    if (size > size_) return fail(Code::kInternal, "a sealed file cannot be made longer");
    while (!frames_.empty() && frames_.back().start + frames_.back().size > size) {
      const Frame& last = frames_.back();
      if (last.start < size) kept.resize(static_cast<size_t>(size - last.start));
      if (!kept.empty()) break;
      end_ = last.place;
      has_tail_ = true;
      frames_.pop_back();
    }
    if (kept.empty()) size_ = size;
  }
  if (!kept.empty()) {
    const uint64_t start = size - kept.size();
    PAYONCE_CHECK_OK(read_past_damage(start, kept.data(), kept.size()));
    const std::lock_guard lock(mutex_);
    end_ = frames_.back().place;
    has_tail_ = true;
    frames_.pop_back();
    size_ = start;
  }
  PAYONCE_CHECK_OK(cut_tail());
  return append(kept);
}

// Those that hold bytes of the range, which is cut at the end of the file.
std::vector<SealedFile::Frame> SealedFile::frames_of(uint64_t offset, size_t& size) const {
  const std::lock_guard lock(mutex_);
  size = offset >= size_ ? 0 : static_cast<size_t>(std::min<uint64_t>(size, size_ - offset));
  auto first = std::ranges::upper_bound(frames_, offset, {}, &Frame::start);
  if (first != frames_.begin()) --first;
  auto last = std::ranges::lower_bound(frames_, offset + size, {}, &Frame::start);
  if (size == 0) last = first;
  return {first, last};
}

base::Result<size_t> SealedFile::read(uint64_t offset, char* out, size_t size, Damage damage) const {
  const std::vector<Frame> frames = frames_of(offset, size);
  if (size == 0) return size_t{0};
  const uint64_t end = offset + size;
  Session session(*sealer_, Session::Way::kOpen);
  Window window(*file_);
  bool good = true;
  uint64_t at = offset;
  const auto zeros_until = [&](uint64_t until) {
    if (until <= at) return;
    std::memset(out + (at - offset), 0, static_cast<size_t>(until - at));
    at = until;
    good = false;
  };
  for (const Frame& frame : frames) {
    if (frame.start + frame.size <= at) continue;  // it ends before a gap
    zeros_until(std::min(frame.start, end));
    const auto from = static_cast<uint32_t>(at - frame.start);
    const auto count = static_cast<uint32_t>(std::min<uint64_t>(frame.size - from, end - at));
    PAYONCE_TRY(const bool opened, open_frame(session, window, frame, from, out + (at - offset), count));
    good = good && opened;
    at += count;
  }
  zeros_until(end);
  if (good) return size;
  faults_.add();
  if (damage == Damage::kZeros) return size;
  return fail(Code::kCorrupt, fmt::format("{}: sealed bytes from {} to {} fail their check", name_, offset, end));
}

// False: some of it fails its check, and is zeros.
base::Result<bool> SealedFile::open_frame(Session& session, Window& window, const Frame& frame, uint32_t from,
                                          char* out, uint32_t size) const {
  const auto first = static_cast<uint32_t>(from / kPieceBytes);
  const auto last = static_cast<uint32_t>((from + size - 1) / kPieceBytes);
  const uint64_t until =
      std::min(piece_place(frame.place, last + 1), frame.place + FrameHead{.size = frame.size}.sealed_bytes());
  PAYONCE_TRY(const std::string_view front, window.at(frame.place, kFrontBytes, first == 0 ? until : 0));
  std::array<char, kHeadBytes> kept{};  // the window moves on
  front.copy(kept.data(), kept.size());
  const auto head = decode_head(front);
  bool good = head && head->start == frame.start && head->size == frame.size;
  std::array<char, kPieceBytes> part;
  for (uint32_t index = first; index <= last; ++index) {
    const uint32_t begin = index * uint32_t{kPieceBytes};
    const uint32_t plain = std::min<uint32_t>(kPieceBytes, frame.size - begin);
    const uint32_t skip = index == first ? from - begin : 0;
    const uint32_t count = std::min(plain - skip, size);
    const bool whole = count == plain;
    bool opened = false;
    if (head) {
      PAYONCE_TRY(const std::string_view sealed,
                  window.at(piece_place(frame.place, index), size_t{plain} + kTagBytes, until));
      const auto bound = bound_of_piece({kept.data(), kept.size()}, index);
      opened = sealed.size() == size_t{plain} + kTagBytes &&
               session.open(advanced(head->nonce, index + 1), {bound.data(), bound.size()}, sealed,
                            whole ? out : part.data());
    }
    if (!opened) std::memset(out, 0, count);
    if (opened && !whole) std::memcpy(out, part.data() + skip, count);
    good = good && opened;
    out += count;
    size -= count;
  }
  return good;
}

}  // namespace payonce::seal
