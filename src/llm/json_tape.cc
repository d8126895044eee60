#include "llm/json_tape.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#if defined(__SSE2__)
#include <emmintrin.h>

#include "base/ascii.h"
#include "base/utf8.h"
#endif

namespace payonce::llm {
namespace {

using base::hex_value;
using base::is_digit;

// Index of the first byte from `at` on that a string cannot simply run over: '"', '\\', a control character, or not
// ASCII; or of the last few bytes of the text, which are looked at one by one.
#if defined(__SSE2__)
size_t skip_plain(std::string_view text, size_t at) {
  const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(0x20);
  for (; at + 16 <= text.size(); at += 16) {
    __m128i bytes;
    std::memcpy(&bytes, text.data() + at, sizeof bytes);
    // Signed: bytes that are not ASCII are negative, so they are less than a space too.
    const __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, slash)),
                                         _mm_cmplt_epi8(bytes, space));
    const auto mask = static_cast<unsigned>(_mm_movemask_epi8(special));
    if (mask != 0) return at + static_cast<size_t>(std::countr_zero(mask));
  }
  return at;
}
#else
size_t skip_plain(std::string_view text, size_t at) {
  constexpr uint64_t kOnes = 0x0101010101010101ULL;
  constexpr uint64_t kHigh = 0x8080808080808080ULL;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t word = 0;
    std::memcpy(&word, text.data() + at, 8);
    // The classic "has a byte equal to / less than n" tricks on a 64-bit word.
    const uint64_t quote = word ^ (kOnes * '"');
    const uint64_t slash = word ^ (kOnes * '\\');
    const uint64_t special =
        ((quote - kOnes) & ~quote) | ((slash - kOnes) & ~slash) | ((word - kOnes * 0x20) & ~word) | word;
    if ((special & kHigh) != 0) return at;
  }
  return at;
}
#endif

class Parser {
 public:
  Parser(std::string_view text, std::vector<JsonNode>& nodes) : text_(text), nodes_(nodes) {}
  base::Status run();

 private:
  struct Open {
    uint32_t node;
    bool object;
  };

  base::Status fail(std::string_view expected) const;
  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  uint32_t add(JsonType type) {
    nodes_.push_back(
        {.begin = static_cast<uint32_t>(at_), .size = 0, .next = 0, .children = 0, .type = type, .escaped = false});
    return static_cast<uint32_t>(nodes_.size() - 1);
  }
  void end(uint32_t node) {
    nodes_[node].size = static_cast<uint32_t>(at_) - nodes_[node].begin;
    nodes_[node].next = static_cast<uint32_t>(nodes_.size());
  }
  base::Status value();
  base::Status step();
  base::Status member_key();
  base::Status string();
  base::Status escape();
  base::Status number();
  base::Status literal(std::string_view word, JsonType type);
  base::Status open(bool object);
  void close();

  std::string_view text_;
  std::vector<JsonNode>& nodes_;
  std::vector<Open> open_;
  size_t at_ = 0;
};

base::Status Parser::fail(std::string_view expected) const {
  if (at_ >= text_.size())
    return base::fail(base::Code::kInvalid,
                      fmt::format("invalid JSON: the text ends at byte {}; expected {}", at_, expected));
  const auto c = static_cast<unsigned char>(text_[at_]);
  const std::string found =
      c >= 0x20 && c < 0x7F ? fmt::format("'{}'", static_cast<char>(c)) : fmt::format("byte 0x{:02x}", c);
  return base::fail(base::Code::kInvalid,
                    fmt::format("invalid JSON at byte {}: expected {}, found {}", at_, expected, found));
}

base::Status Parser::run() {
  skip_space();
  PAYONCE_CHECK_OK(value());
  while (!open_.empty()) PAYONCE_CHECK_OK(step());
  skip_space();
  if (at_ != text_.size()) return fail("the end of the text");
  return {};
}

// One member or element of the innermost open container, or its end.
base::Status Parser::step() {
  const Open top = open_.back();
  const char closing = top.object ? '}' : ']';
  skip_space();
  if (peek() == closing && at_ < text_.size()) {
    close();
    return {};
  }
  if (nodes_[top.node].children > 0) {
    if (peek() != ',') return fail(top.object ? "',' or '}'" : "',' or ']'");
    ++at_;
    skip_space();
  }
  ++nodes_[top.node].children;
  if (top.object) PAYONCE_CHECK_OK(member_key());
  return value();
}

base::Status Parser::member_key() {
  if (peek() != '"') return fail("a string as member name");
  PAYONCE_CHECK_OK(string());
  skip_space();
  if (peek() != ':') return fail("':'");
  ++at_;
  skip_space();
  return {};
}

base::Status Parser::value() {
  switch (peek()) {
    case '{': return open(true);
    case '[': return open(false);
    case '"': return string();
    case 't': return literal("true", JsonType::kTrue);
    case 'f': return literal("false", JsonType::kFalse);
    case 'n': return literal("null", JsonType::kNull);
    default: return number();
  }
}

base::Status Parser::open(bool object) {
  if (open_.size() == kMaxJsonDepth)
    return base::fail(base::Code::kInvalid,
                      fmt::format("invalid JSON at byte {}: nested deeper than {} levels", at_, kMaxJsonDepth));
  open_.push_back({add(object ? JsonType::kObject : JsonType::kArray), object});
  ++at_;
  return {};
}

void Parser::close() {
  ++at_;
  end(open_.back().node);
  open_.pop_back();
}

base::Status Parser::literal(std::string_view word, JsonType type) {
  if (text_.substr(at_, word.size()) != word) return fail("a value");
  const uint32_t node = add(type);
  at_ += word.size();
  end(node);
  return {};
}

base::Status Parser::string() {
  const uint32_t node = add(JsonType::kString);
  ++at_;
  const char* const data = text_.data();
  while (true) {
    at_ = skip_plain(text_, at_);
    if (at_ >= text_.size()) return fail("'\"' at the end of a string");
    const auto c = static_cast<unsigned char>(data[at_]);
    if (c == '"') break;
    if (c == '\\') {
      nodes_[node].escaped = true;
      PAYONCE_CHECK_OK(escape());
    } else if (c < 0x20) {
      return fail("no control character inside a string (escape it)");
    } else if (c < 0x80) {
      ++at_;
    } else {
      const size_t size = base::character_size(text_.substr(at_));
      if (size == 0) return fail("valid UTF-8");
      at_ += size;
    }
  }
  ++at_;
  end(node);
  return {};
}

base::Status Parser::escape() {
  ++at_;
  constexpr std::string_view kSimple = "\"\\/bfnrt";
  if (at_ < text_.size() && kSimple.find(text_[at_]) != std::string_view::npos) {
    ++at_;
    return {};
  }
  if (peek() != 'u') return fail("an escape: one of \" \\ / b f n r t u");
  ++at_;
  for (int i = 0; i < 4; ++i, ++at_)
    if (hex_value(peek()) < 0) return fail("four hexadecimal digits after \\u");
  return {};
}

base::Status Parser::number() {
  const uint32_t node = add(JsonType::kNumber);
  if (peek() == '-') ++at_;
  if (!is_digit(peek())) return fail("a value");
  if (peek() == '0')
    ++at_;
  else
    while (is_digit(peek())) ++at_;
  if (peek() == '.') {
    ++at_;
    if (!is_digit(peek())) return fail("a digit after the decimal point");
    while (is_digit(peek())) ++at_;
  }
  if (peek() == 'e' || peek() == 'E') {
    ++at_;
    if (peek() == '+' || peek() == '-') ++at_;
    if (!is_digit(peek())) return fail("a digit in the exponent");
    while (is_digit(peek())) ++at_;
  }
  end(node);
  return {};
}

}  // namespace

base::Result<Tape> Tape::parse(std::string_view text) {
  if (text.size() >= UINT32_MAX) return base::fail(base::Code::kTooLarge, "a JSON text of 4 GiB or more");
  Tape tape;
  tape.nodes_.reserve(text.size() / 24 + 8);
  PAYONCE_CHECK_OK(Parser(text, tape.nodes_).run());
  return tape;
}

uint32_t Tape::find(std::string_view text, uint32_t object, std::string_view key) const {
  if (nodes_[object].type != JsonType::kObject) return kNone;
  uint32_t found = kNone;
  uint32_t at = object + 1;
  for (uint32_t i = 0; i < nodes_[object].children; ++i) {
    const JsonNode& name = nodes_[at];
    const bool same = name.escaped ? decoded(text, at) == key : text.substr(name.begin + 1, name.size - 2) == key;
    if (same) found = at + 1;
    at = nodes_[at + 1].next;
  }
  return found;
}

std::string Tape::decoded(std::string_view text, uint32_t index) const {
  const JsonNode& node = nodes_[index];
  const std::string_view raw = text.substr(node.begin + 1, node.size - 2);
  if (!node.escaped) return std::string(raw);
  const auto unit = [&](size_t at) {
    uint32_t code = 0;
    for (size_t i = 0; i < 4; ++i) code = code * 16 + static_cast<uint32_t>(hex_value(raw[at + i]));
    return code;
  };
  std::string out;
  out.reserve(raw.size());
  for (size_t i = 0; i < raw.size(); ++i) {
    const size_t plain = std::min(raw.find('\\', i), raw.size());
    out.append(raw, i, plain - i);
    i = plain;
    if (i == raw.size()) break;
    switch (raw[++i]) {
      case 'b': out += '\b'; break;
      case 'f': out += '\f'; break;
      case 'n': out += '\n'; break;
      case 'r': out += '\r'; break;
      case 't': out += '\t'; break;
      case 'u': {
        uint32_t code = unit(i + 1);
        i += 4;
        const bool high = code >= 0xD800 && code < 0xDC00;
        if (high && i + 6 < raw.size() && raw[i + 1] == '\\' && raw[i + 2] == 'u') {
          const uint32_t low = unit(i + 3);
          if (low >= 0xDC00 && low < 0xE000) {
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            i += 6;
          }
        }
        base::append_character(out, code);
        break;
      }
      default: out += raw[i];
    }
  }
  return out;
}

}  // namespace payonce::llm
