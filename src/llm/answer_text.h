// What a recorded answer says, for comparing two answers.  Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "llm/response.h"

namespace payonce::llm {

struct AnswerText {
  std::string text;          // of all choices or blocks, in order, a line each
  bool calls_tools = false;  // the answer asks for something to be done
};

// Chat, completions, messages and responses. kInvalid where the bytes are none.
base::Result<AnswerText> answer_text(Dialect dialect, Form form, std::string_view body);

// Lower case (ASCII), runs of white space and punctuation as one blank: two answers that differ only so say the same.
std::string normalised_text(std::string_view text);

}  // namespace payonce::llm
