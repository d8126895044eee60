#include "embed/base64.h"

#include <bit>
#include <cstdint>
#include <utility>

namespace payonce::embed {

namespace {

constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

}  // namespace

std::string base64_of_floats(std::span<const float> numbers) {
  std::string out;
  out.reserve(numbers.size() * 16 / 3 + 4);
  uint32_t held = 0, bits = 0;
  for (const float number : numbers) {
    const auto word = std::bit_cast<uint32_t>(number);
    for (uint32_t byte = 0; byte < 4; ++byte) {
      held = held << 8U | (word >> 8U * byte & 0xFFU);
      for (bits += 8; bits >= 6; bits -= 6) out += kAlphabet[held >> (bits - 6) & 0x3FU];
    }
  }
  if (bits > 0) out += kAlphabet[held << (6 - bits) & 0x3FU];
  while (out.size() % 4 != 0) out += '=';
  return out;
}

base::Result<std::vector<float>> floats_of_base64(std::string_view text) {
  while (text.ends_with('=')) text.remove_suffix(1);
  std::vector<float> out;
  uint32_t held = 0, bits = 0, word = 0, bytes = 0;
  for (const char c : text) {
    const size_t digit = kAlphabet.find(c);
    if (digit == std::string_view::npos) return base::fail(base::Code::kInvalid, "not base64");
    held = held << 6U | static_cast<uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    word |= (held >> bits & 0xFFU) << 8U * (bytes % 4);
    if (++bytes % 4 == 0) out.push_back(std::bit_cast<float>(std::exchange(word, 0)));
  }
  if (bytes % 4 != 0) return base::fail(base::Code::kInvalid, "base64 of bytes that are no whole F32 numbers");
  return out;
}

}  // namespace payonce::embed
