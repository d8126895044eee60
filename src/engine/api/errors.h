// What went wrong, in the words and the shape that the caller's SDK expects.
//
// Inside this module an error is a base::Error with three conventions: a message that begins with 'name' is about
// that field and becomes OpenAI's `param`; kTooLarge means that prompt and answer do not fit the context (400,
// context_length_exceeded); kUnavailable means that the engine is shutting down (503).
// Threads: pure functions.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "llm/dialect.h"
#include "net/message.h"

namespace payonce::engine {

struct Answer {
  net::ResponseHead head;
  base::Bytes body;
};

int error_status(const base::Error& error);
Answer error_answer(llm::Dialect dialect, const base::Error& error);
// With a status that no code of base has (405, …).
Answer error_answer(llm::Dialect dialect, int status, const base::Error& error);
// One event of a stream that has begun. `sequence`: of the responses dialect.
std::string error_event(llm::Dialect dialect, const base::Error& error, int64_t sequence = 0);

Answer json_answer(llm::Dialect dialect, std::string body);
net::ResponseHead stream_head(llm::Dialect dialect);

}  // namespace payonce::engine
