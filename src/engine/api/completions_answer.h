// The answer of /v1/completions: text as it is.  Threads: as AnswerWriter.  Lifetime: the vocabulary outlives it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/api/answer_writer.h"
#include "engine/api/ports.h"

namespace payonce::engine {

struct CompletionsAnswerOptions {
  const VocabPort& vocab;
  struct Prompt {
    std::string text;
    std::vector<int32_t> tokens;
  };
  std::vector<Prompt> prompts;  // empty text and tokens without echo
  int32_t n = 1;                // choices of each prompt
  bool echo = false;
  bool logprobs = false;
  bool prompt_only = false;  // max_tokens 0: what the engine had to compute is not shown
  bool stream = false;
  bool include_usage = false;
};
std::unique_ptr<AnswerWriter> make_completions_answer(AnswerIdentity identity, CompletionsAnswerOptions options);

}  // namespace payonce::engine
