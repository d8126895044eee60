// One line of MCP: a JSON-RPC 2.0 message, or a batch of them, read where it lies and never changed.
// Threads: a value; reading any.  The line outlives what was read of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/json_tape.h"

namespace payonce::mcp {

enum class MessageKind : uint8_t {
  kRequest,       // a method and an id
  kNotification,  // a method without one
  kResponse,      // an id, and a result or an error
  kUnclear        // anything else; two readers could take it for two things
};

struct Message {
  MessageKind kind = MessageKind::kUnclear;
  std::string id;      // so that equal ids are equal: "n1", "sabc"; empty: none
  std::string method;  // decoded
  uint32_t node = llm::Tape::kNone;
};

class MessageLine {
 public:
  static constexpr uint32_t kNone = llm::Tape::kNone;
  // Nothing: no JSON, or neither an object nor an array.
  static std::optional<MessageLine> parse(std::string_view line);

  const std::vector<Message>& messages() const { return messages_; }  // one, unless it is a batch
  bool is_batch() const { return is_batch_; }

  uint32_t member(uint32_t object, std::string_view name) const;  // kNone: no object, or no such member
  bool is(uint32_t node, llm::JsonType type) const { return node != kNone && tape_[node].type == type; }
  std::string text(uint32_t node) const;      // decoded string; "" when it is none
  std::string_view raw(uint32_t node) const;  // "" for kNone
  // `visit(key, value)` for each member of an object; nothing for anything else.
  template <typename Visit>
  void each_member(uint32_t object, const Visit& visit) const {
    if (!is(object, llm::JsonType::kObject)) return;
    uint32_t at = object + 1;
    for (uint32_t i = 0; i < tape_[object].children; ++i) {
      const uint32_t value = tape_[at].next;
      visit(at, value);
      at = tape_[value].next;
    }
  }
  template <typename Visit>
  void each_element(uint32_t array, const Visit& visit) const {
    if (!is(array, llm::JsonType::kArray)) return;
    uint32_t at = array + 1;
    for (uint32_t i = 0; i < tape_[array].children; ++i) {
      visit(at);
      at = tape_[at].next;
    }
  }

 private:
  MessageLine(std::string_view line, llm::Tape tape) : line_(line), tape_(std::move(tape)) {}
  Message read(uint32_t node) const;

  std::string_view line_;
  llm::Tape tape_;
  std::vector<Message> messages_;
  bool is_batch_ = false;
};

// `text` as a JSON string.
std::string json_string(std::string_view text);

}  // namespace payonce::mcp
