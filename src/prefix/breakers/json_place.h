// Where a value stands in a body.  Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "llm/json_tape.h"

namespace payonce::prefix {

// "system[1].text", "messages[4].content[0].input"; the body itself is "". `node` is a value or a member's name.
std::string path_to(const llm::Tape& tape, std::string_view text, uint32_t node);
// Byte offset in `text` of the character that begins at `decoded_offset` of a string's decoded text; at or past its
// end: of the closing quote.
size_t raw_offset(std::string_view text, const llm::JsonNode& string, size_t decoded_offset);
// Member `name` of an object: its text where that is a string, else "".
std::string string_member(const llm::Tape& tape, std::string_view text, uint32_t object, std::string_view name);

}  // namespace payonce::prefix
