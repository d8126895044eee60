// Calls that ask for a summary of a conversation, as agents make them when their context is full: the history as
// messages or rendered as one text, and an instruction to summarise it, mostly under another system prompt and
// without tools.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

struct CompactionCall {
  uint32_t instruction = 0;  // unit of the last message
  bool rendered = false;     // the history is text with labels of roles ("User: …"), not messages
};

// The shape decides (a conversation, and behind it or around it an instruction), then the words. Titles are none.
std::optional<CompactionCall> compaction_of(const Prompt& prompt);

// At least two lines that begin with a role: "User:", "[Assistant]", "# TOOL".
bool is_transcript(std::string_view text);
// What a line of a transcript says without its role; `only_role`: it is nothing else.
std::string_view without_role(std::string_view line, bool* only_role = nullptr);

// All of a unit's texts, one after the other.
std::string text_of_unit(const Prompt& prompt, const Unit& unit);

}  // namespace payonce::prefix
