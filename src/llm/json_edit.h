// Byte-exact edits of a JSON text: what is not edited keeps every byte. Edits name nodes of the text's tape and are
// applied together.  Threads: one at a time.  Text and tape outlive the edit.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "llm/json_tape.h"

namespace payonce::llm {

class JsonEdit {
 public:
  JsonEdit(std::string_view text, const Tape& tape) : text_(text), tape_(tape) {}

  // Values are given as JSON text. Edits must not overlap: none inside a value that is replaced or removed.
  void replace(uint32_t node, std::string json);
  // As the last member. Once an object; the name is a plain ASCII one.
  void add_member(uint32_t object, std::string_view name, std::string_view json);
  // Every member whose decoded name is wanted away.
  void remove_members(uint32_t object, const std::function<bool(std::string_view name)>& wanted_away);
  // Behind the element at `index` − 1 (0: in front). Several at one place keep the order of the calls.
  void insert_element(uint32_t array, uint32_t index, std::string_view json);
  void remove_element(uint32_t array, uint32_t index);  // not all of one array

  bool empty() const { return changes_.empty(); }
  std::string apply();

 private:
  struct Change {
    uint32_t begin, end;
    std::string text;
  };
  uint32_t end_of(uint32_t node) const { return tape_[node].begin + tape_[node].size; }

  const std::string_view text_;
  const Tape& tape_;
  std::vector<Change> changes_;
};

// A JSON string with the escapes that RFC 8259 requires and no others.
std::string json_string(std::string_view utf8);

}  // namespace payonce::llm
