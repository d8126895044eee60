#include "prefix/breakers/json_place.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.h"

namespace payonce::prefix {
namespace {

bool is_plain_name(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return base::is_alphanumeric(c) || c == '_' || c == '-' || c == '$';
  });
}

// Bytes of UTF-8 that the escape at `at` decodes to, and its length as it is written.
struct Escape {
  size_t written, decoded;
};
Escape escape_at(std::string_view text, size_t at) {
  if (at + 5 >= text.size() || text[at + 1] != 'u') return {2, 1};
  const auto hex = [&](size_t from) { return std::stoul(std::string(text.substr(from, 4)), nullptr, 16); };
  const unsigned long unit = hex(at + 2);
  if (unit >= 0xD800 && unit < 0xDC00 && at + 11 < text.size() && text[at + 6] == '\\' && text[at + 7] == 'u') {
    const unsigned long low = hex(at + 8);
    if (low >= 0xDC00 && low < 0xE000) return {12, 4};
  }
  return {6, unit < 0x80 ? 1u : unit < 0x800 ? 2u : 3u};
}

}  // namespace

std::string path_to(const llm::Tape& tape, std::string_view text, uint32_t node) {
  std::string out;
  uint32_t at = 0;
  while (at != node) {
    const llm::JsonNode& parent = tape[at];
    const bool object = parent.type == llm::JsonType::kObject;
    uint32_t child = at + 1, index = 0;
    for (; index < parent.children; ++index, child = tape[object ? child + 1 : child].next)
      if (node < tape[object ? child + 1 : child].next) break;
    if (index == parent.children) return out;
    if (!object) {
      out += fmt::format("[{}]", index);
      at = child;
      continue;
    }
    const std::string name = tape.decoded(text, child);
    out += is_plain_name(name) ? (out.empty() ? name : "." + name) : fmt::format("[\"{}\"]", name);
    if (node == child) return out;
    at = child + 1;
  }
  return out;
}

size_t raw_offset(std::string_view text, const llm::JsonNode& string, size_t decoded_offset) {
  const size_t begin = string.begin + 1, end = string.begin + string.size - 1;
  if (!string.escaped) return std::min(begin + decoded_offset, end);
  size_t at = begin, decoded = 0;
  while (at < end && decoded < decoded_offset) {
    const Escape step = text[at] == '\\' ? escape_at(text, at) : Escape{1, 1};
    if (decoded + step.decoded > decoded_offset) break;
    at += step.written;
    decoded += step.decoded;
  }
  return std::min(at, end);
}

std::string string_member(const llm::Tape& tape, std::string_view text, uint32_t object, std::string_view name) {
  if (tape[object].type != llm::JsonType::kObject) return {};
  const uint32_t node = tape.find(text, object, name);
  return node != llm::Tape::kNone && tape[node].type == llm::JsonType::kString ? tape.decoded(text, node)
                                                                               : std::string();
}

}  // namespace payonce::prefix
