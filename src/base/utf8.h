// Characters in UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
// Threads: pure functions.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace payonce::base {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD, for what is part of no character

constexpr bool continues_character(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

// Bytes of a character that begins with `lead`; 0: none does.
constexpr size_t announced_size(char lead) {
  const auto byte = static_cast<unsigned char>(lead);
  if (byte < 0x80) return 1;
  if (byte < 0xC2 || byte > 0xF4) return 0;
  return byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
}

// How many bytes at the front of `text` begin a character; at most those of one.
constexpr size_t begun_size(std::string_view text) {
  if (text.empty()) return 0;
  const size_t announced = announced_size(text[0]);
  if (announced < 2 || text.size() < 2 || !continues_character(text[1])) return std::min<size_t>(announced, 1);
  const auto lead = static_cast<unsigned char>(text[0]), second = static_cast<unsigned char>(text[1]);
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate_or_beyond = (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
  if (overlong || surrogate_or_beyond) return 1;
  size_t size = 2;
  while (size < announced && size < text.size() && continues_character(text[size])) ++size;
  return size;
}

// Bytes of the character at the front of `text`; 0: `text` is empty or does not begin with a whole one.
constexpr size_t character_size(std::string_view text) {
  const size_t begun = begun_size(text);
  return begun > 0 && begun == announced_size(text[0]) ? begun : 0;
}

// Whether more bytes could make `text` a character.
constexpr bool is_unfinished_character(std::string_view text) {
  const size_t begun = begun_size(text);
  return begun > 0 && begun == text.size() && begun < announced_size(text[0]);
}

struct Character {
  size_t size = 0;    // in bytes; 0: none
  uint32_t code = 0;  // 0 for none, too
};

// The character at the front of `text`; none where character_size() is 0.
constexpr Character front_character(std::string_view text) {
  const size_t size = character_size(text);
  if (size == 0) return {};
  uint32_t code = static_cast<unsigned char>(text[0]);
  if (size > 1) code &= 0x7FU >> size;
  for (const char c : text.substr(1, size - 1)) code = code << 6U | (static_cast<unsigned char>(c) & 0x3FU);
  return {size, code};
}

// A lone surrogate (which JSON's escapes can spell) gets its three-byte form, which no UTF-8 contains (WTF-8).
constexpr void append_character(std::string& out, uint32_t code) {
  const auto add = [&](uint32_t byte) { out += static_cast<char>(byte); };
  const auto tail = [&](unsigned shift) { add(0x80U | (code >> shift & 0x3FU)); };
  if (code < 0x80) return add(code);
  if (code < 0x800) {
    add(0xC0U | code >> 6U);
  } else {
    if (code < 0x10000) {
      add(0xE0U | code >> 12U);
    } else {
      add(0xF0U | code >> 18U);
      tail(12);
    }
    tail(6);
  }
  tail(0);
}

// Where the character begins of which `text[at]` is a part; `at` itself from the end of the text on.
constexpr size_t character_start(std::string_view text, size_t at) {
  while (at > 0 && at < text.size() && continues_character(text[at])) --at;
  return at;
}

// The longest beginning of at most `most` bytes that cuts no character in two.
constexpr std::string_view beginning(std::string_view text, size_t most) {
  return text.substr(0, character_start(text, std::min(most, text.size())));
}

// Such a beginning with "…" where something was left out.
inline std::string excerpt(std::string_view text, size_t most) {
  return text.size() <= most ? std::string(text) : std::string(beginning(text, most)) + "…";
}

// How many characters begin in `text`.
constexpr size_t count_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues_character(c); }));
}

// UTF-8 whatever `bytes` are. What is part of no character becomes U+FFFD: one for the beginning of a character that
// does not go on, one for each other byte (Unicode 15, section 3.9, "substitution of maximal subparts").
inline std::string with_replacements(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const size_t size = character_size(bytes);
    out += size == 0 ? kReplacement : bytes.substr(0, size);
    bytes.remove_prefix(size == 0 ? std::max<size_t>(begun_size(bytes), 1) : size);
  }
  return out;
}

}  // namespace payonce::base
