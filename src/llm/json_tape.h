// A byte-span tape over a JSON text: the offset and length of every key and value, in document order. It validates
// all of RFC 8259 (structure, numbers, escapes, UTF-8) and copies nothing, so a body can be keyed and edited
// byte-exactly, which a DOM cannot do.  Threads: a value; reading any.  The tape does not own the text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace payonce::llm {

enum class JsonType : uint8_t { kObject, kArray, kString, kNumber, kTrue, kFalse, kNull };

// One value. Members of an object are pairs of nodes: the key (a kString node), then its value.
struct JsonNode {
  uint32_t begin;     // byte offset of the first character ('{', '[', '"', digit, …)
  uint32_t size;      // bytes, including quotes and brackets
  uint32_t next;      // index of the first node after this value and all that is in it: the next sibling
  uint32_t children;  // objects: members; arrays: elements; else 0
  JsonType type;
  bool escaped;  // strings: holds a backslash, so decoding is needed
};

inline constexpr size_t kMaxJsonDepth = 256;

class Tape {
 public:
  // Bodies up to 4 GiB − 1. kInvalid: message with byte offset.
  static base::Result<Tape> parse(std::string_view text);

  const std::vector<JsonNode>& nodes() const { return nodes_; }
  const JsonNode& operator[](uint32_t index) const { return nodes_[index]; }
  static constexpr uint32_t kNone = UINT32_MAX;
  // Value of the last member named `key` (decoded spelling) of the object at `object`; kNone if there is none.
  uint32_t find(std::string_view text, uint32_t object, std::string_view key) const;
  // The raw bytes of a node.
  std::string_view raw(std::string_view text, uint32_t index) const {
    return text.substr(nodes_[index].begin, nodes_[index].size);
  }
  // Decoded UTF-8 of a string node. A lone surrogate escape decodes to its three-byte form (WTF-8), which no valid
  // UTF-8 text contains, so it equals nothing else.
  std::string decoded(std::string_view text, uint32_t index) const;

 private:
  std::vector<JsonNode> nodes_;
};

}  // namespace payonce::llm
