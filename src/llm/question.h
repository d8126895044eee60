// What a conversation asks last: the turn that the semantic layer compares in meaning, while all else must be equal.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "llm/request.h"

namespace payonce::llm {

struct Question {
  uint32_t node = 0;  // the string in request.tape
  std::string text;   // decoded UTF-8
};

// The text of the last message, when a user wrote it and it is text alone. Nothing where the conversation stands
// inside a tool loop (the last message is a tool's result), holds an image, a file or several parts in its last
// message, or is no conversation (completions, embeddings).
std::optional<Question> question_of(const Request& request);

}  // namespace payonce::llm
