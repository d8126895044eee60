// A JSON body and what is found in it.  Threads: a value; reading any.  The text outlives the view.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "llm/json_tape.h"

namespace payonce::llm {

class JsonView {
 public:
  static constexpr uint32_t kNone = Tape::kNone;
  // Nothing: not a JSON object.
  static std::optional<JsonView> parse(std::string_view text);

  uint32_t member(uint32_t object, std::string_view name) const;  // kNone: no object, or no such member
  uint32_t element(uint32_t array, size_t index) const;           // kNone: no array, or shorter
  uint32_t at(std::span<const std::string> path) const;           // members by name, elements by number
  bool is(uint32_t node, JsonType type) const { return node != kNone && tape_[node].type == type; }
  size_t children(uint32_t node) const { return node == kNone ? 0 : tape_[node].children; }
  std::string string(uint32_t node) const;                // decoded; "" when it is none
  std::optional<double> number(uint32_t node) const;      // finite
  std::vector<float> numbers(uint32_t node) const;        // empty unless it is an array of finite numbers alone
  bool has_member_anywhere(std::string_view name) const;  // at any depth
  bool only_members(uint32_t object, std::span<const std::string_view> names) const;

  std::string_view text() const { return text_; }
  const Tape& tape() const { return tape_; }

 private:
  JsonView(std::string_view text, Tape tape) : text_(text), tape_(std::move(tape)) {}
  std::string_view text_;
  Tape tape_;
};

}  // namespace payonce::llm
