#include "kv_events/msgpack.h"

#include <bit>

namespace payonce::kv_events {
namespace {

using Head = MsgPackReader::Head;
using Type = MsgPackReader::Type;

auto cut_short() { return base::fail(base::Code::kCorrupt, "MessagePack: it ends inside a value"); }

uint64_t sign_extended(uint64_t bits, size_t bytes) {
  const auto unused = static_cast<unsigned>(64 - 8 * bytes);
  return static_cast<uint64_t>(static_cast<int64_t>(bits << unused) >> unused);
}

Head integer(uint64_t bits, bool is_signed) {
  return {.type = Type::kInteger,
          .number = bits,
          .real = is_signed ? static_cast<double>(static_cast<int64_t>(bits)) : static_cast<double>(bits)};
}

}  // namespace

base::Result<uint64_t> MsgPackReader::big_endian(size_t bytes) {
  if (left_.size() < bytes) return cut_short();
  uint64_t out = 0;
  for (const char byte : left_.substr(0, bytes)) out = out << 8 | static_cast<uint8_t>(byte);
  left_.remove_prefix(bytes);
  return out;
}

base::Result<Head> MsgPackReader::sized(Type type, uint64_t count) {
  Head out{.type = type, .number = count};
  if (count > (type == Type::kMap ? left_.size() / 2 : left_.size())) return cut_short();
  if (type == Type::kArray || type == Type::kMap) return out;
  out.bytes = left_.substr(0, count);
  left_.remove_prefix(count);
  return out;
}

base::Result<Head> MsgPackReader::sized_by(Type type, size_t length_bytes) {
  PAYONCE_TRY(const uint64_t count, big_endian(length_bytes));
  return type == Type::kExtension ? extension(count) : sized(type, count);
}

base::Result<Head> MsgPackReader::extension(uint64_t count) {
  PAYONCE_CHECK_OK(big_endian(1));  // its kind
  return sized(Type::kExtension, count);
}

base::Result<Head> MsgPackReader::number(uint8_t byte) {
  const size_t bytes = byte == 0xca ? 4 : byte == 0xcb ? 8 : size_t{1} << (byte & 3);
  PAYONCE_TRY(const uint64_t bits, big_endian(bytes));
  if (byte == 0xca)
    return Head{.type = Type::kFloat, .real = double{std::bit_cast<float>(static_cast<uint32_t>(bits))}};
  if (byte == 0xcb) return Head{.type = Type::kFloat, .real = std::bit_cast<double>(bits)};
  return byte >= 0xd0 ? integer(sign_extended(bits, bytes), true) : integer(bits, false);
}

base::Result<Head> MsgPackReader::read() {
  PAYONCE_TRY(const uint64_t first, big_endian(1));
  const auto byte = static_cast<uint8_t>(first);
  if (byte <= 0x7f) return integer(byte, false);
  if (byte <= 0x8f) return sized(Type::kMap, byte & 0x0f);
  if (byte <= 0x9f) return sized(Type::kArray, byte & 0x0f);
  if (byte <= 0xbf) return sized(Type::kText, byte & 0x1f);
  if (byte >= 0xe0) return integer(sign_extended(byte, 1), true);
  switch (byte) {
    case 0xc0: return Head{};
    case 0xc2:
    case 0xc3: return Head{.type = Type::kBool, .number = byte & 1u};
    case 0xc4:
    case 0xc5:
    case 0xc6: return sized_by(Type::kBinary, size_t{1} << (byte - 0xc4));
    case 0xc7:
    case 0xc8:
    case 0xc9: return sized_by(Type::kExtension, size_t{1} << (byte - 0xc7));
    case 0xd4:
    case 0xd5:
    case 0xd6:
    case 0xd7:
    case 0xd8: return extension(uint64_t{1} << (byte - 0xd4));
    case 0xd9:
    case 0xda:
    case 0xdb: return sized_by(Type::kText, size_t{1} << (byte - 0xd9));
    case 0xdc:
    case 0xdd: return sized_by(Type::kArray, size_t{2} << (byte - 0xdc));
    case 0xde:
    case 0xdf: return sized_by(Type::kMap, size_t{2} << (byte - 0xde));
    case 0xc1: return base::fail(base::Code::kCorrupt, "MessagePack: byte 0xc1, which is never used");
    default: return number(byte);
  }
}

base::Result<std::string_view> MsgPackReader::read_raw() {
  const std::string_view begin = left_;
  for (uint64_t values = 1; values > 0; --values) {  // each head that is counted took a byte: it ends
    PAYONCE_TRY(const Head head, read());
    if (head.type == Type::kArray) values += head.number;
    if (head.type == Type::kMap) values += 2 * head.number;
  }
  return begin.substr(0, begin.size() - left_.size());
}

}  // namespace payonce::kv_events
