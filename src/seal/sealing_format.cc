#include "seal/sealing_format.h"

#include <algorithm>

#include "base/assert.h"
#include "base/little_endian.h"

namespace payonce::seal {
namespace {

constexpr std::string_view kFileMagic = "PAYSEAL1";
constexpr size_t kIdBytes = 8;
constexpr size_t kCheckBytes = 8;

std::string check_of(std::string_view header) {
  const base::Digest digest = base::sha256(header);
  return {reinterpret_cast<const char*>(digest.data()), kCheckBytes};
}

}  // namespace

std::string encode_file_header(const FileHeader& header) {
  PAYONCE_ASSERT(header.key_id.size() == kIdBytes && header.salt.size() == kSaltBytes);
  const std::string out = std::string(kFileMagic) + header.key_id + header.salt;
  return out + check_of(out);
}

Look decode_file_header(std::string_view bytes, FileHeader& header) {
  const std::string_view magic = bytes.substr(0, kFileMagic.size());
  if (magic != kFileMagic.substr(0, magic.size())) return Look::kPlain;
  if (bytes.size() < kFileHeaderBytes) return Look::kEmpty;
  header.key_id = bytes.substr(kFileMagic.size(), kIdBytes);
  header.salt = bytes.substr(kFileMagic.size() + kIdBytes, kSaltBytes);
  const std::string_view checked = bytes.substr(0, kFileHeaderBytes - kCheckBytes);
  return bytes.substr(checked.size(), kCheckBytes) == check_of(checked) ? Look::kSealed : Look::kDamaged;
}

uint64_t FrameHead::sealed_bytes() const {
  return kFrontBytes + uint64_t{size} + (uint64_t{size} + kPieceBytes - 1) / kPieceBytes * kTagBytes;
}

void encode_frame(const Sealer& sealer, uint64_t start, std::string_view plain, std::string& out) {
  PAYONCE_ASSERT(!plain.empty() && plain.size() <= kMaxFrameBytes);
  const FrameHead head{.size = static_cast<uint32_t>(plain.size()), .start = start, .nonce = random_nonce()};
  std::string front(kFrameMagic);
  base::put_number(front, head.size);
  base::put_number(front, head.start);
  front.append(reinterpret_cast<const char*>(head.nonce.data()), head.nonce.size());

  size_t at = out.size();
  out.resize(at + head.sealed_bytes());
  Session session(sealer, Session::Way::kSeal);
  front.copy(out.data() + at, front.size());
  at += front.size();
  session.seal(head.nonce, front, {}, out.data() + at);
  at += kTagBytes;
  for (uint32_t index = 0; !plain.empty(); ++index) {
    const std::string_view piece = plain.substr(0, kPieceBytes);
    const auto bound = bound_of_piece(front, index);
    session.seal(advanced(head.nonce, index + 1), {bound.data(), bound.size()}, piece, out.data() + at);
    at += piece.size() + kTagBytes;
    plain.remove_prefix(piece.size());
  }
}

std::optional<FrameHead> decode_head(std::string_view front) {
  if (front.size() < kFrontBytes || !front.starts_with(kFrameMagic)) return std::nullopt;
  base::NumberReader in(front.substr(kFrameMagic.size()));
  FrameHead head;
  head.size = in.number<uint32_t>();
  head.start = in.number<uint64_t>();
  const std::string_view nonce = in.text(head.nonce.size());
  std::copy(nonce.begin(), nonce.end(), head.nonce.begin());
  if (head.size == 0 || head.size > kMaxFrameBytes) return std::nullopt;
  return head;
}

bool verify_front(Session& session, const FrameHead& head, std::string_view front) {
  return session.open(head.nonce, front.substr(0, kHeadBytes), front.substr(kHeadBytes, kTagBytes), nullptr);
}

std::array<char, kHeadBytes + 4> bound_of_piece(std::string_view front, uint32_t index) {
  std::array<char, kHeadBytes + 4> bound;
  front.copy(bound.data(), kHeadBytes);
  for (size_t i = kHeadBytes; i < bound.size(); ++i, index >>= 8) bound[i] = static_cast<char>(index & 0xff);
  return bound;
}

}  // namespace payonce::seal
