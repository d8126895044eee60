// The bytes of a sealed file: docs/formats/sealed-file.md describes each of them; change both together and raise the
// digits in the magics. Threads: pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "seal/sealer.h"

namespace payonce::seal {

// What a file begins with. Not secret, and known before any key is.
struct FileHeader {
  std::string key_id;  // 8 bytes
  std::string salt;    // kSaltBytes
};
inline constexpr size_t kFileHeaderBytes = 56;
enum class Look : uint8_t {
  kEmpty,    // nothing, or the torn beginning of a header: as if nothing had been written
  kPlain,    // not ours
  kSealed,   // `header` says under which key
  kDamaged,  // the header fails its check
};
std::string encode_file_header(const FileHeader& header);
Look decode_file_header(std::string_view bytes, FileHeader& header);

// What was appended at once is a frame: a head of its own, then pieces that can be opened one by one.
inline constexpr size_t kPieceBytes = 4096;
inline constexpr size_t kSealedPieceBytes = kPieceBytes + kTagBytes;
inline constexpr size_t kHeadBytes = 28;
inline constexpr size_t kFrontBytes = kHeadBytes + kTagBytes;
inline constexpr uint32_t kMaxFrameBytes = 256u << 20;
inline constexpr std::string_view kFrameMagic = "PaF1";

struct FrameHead {
  uint32_t size = 0;   // of the plain bytes
  uint64_t start = 0;  // where the first of them stands in the plain file
  Nonce nonce{};
  uint64_t sealed_bytes() const;
};
// Appends the frame of `plain` to `out`.
void encode_frame(const Sealer& sealer, uint64_t start, std::string_view plain, std::string& out);
// Empty: not a head. What it says holds once verify_front() has said so.
std::optional<FrameHead> decode_head(std::string_view front);
bool verify_front(Session& session, const FrameHead& head, std::string_view front);
// What the tag of a piece covers besides its bytes: the head, and which piece it is.
std::array<char, kHeadBytes + 4> bound_of_piece(std::string_view front, uint32_t index);

}  // namespace payonce::seal
