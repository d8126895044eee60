// What the layers need to know of a request body, read once from its tape. Views point into the body.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "llm/dialect.h"
#include "llm/json_tape.h"

namespace payonce::llm {

struct Request {
  Dialect dialect = Dialect::kOther;
  base::Bytes body;
  Tape tape;          // of body; root is an object
  std::string model;  // empty if none
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage (OpenAI chat, completions)
  std::optional<double> temperature;
};

// kInvalid with a message that names the problem and the byte offset: syntax, bad UTF-8, depth, not an object,
// "stream" not a boolean. Only Gemini needs `target`, which names its model and framing.
base::Result<Request> parse_request(Dialect dialect, base::Bytes body, std::string_view target = {});

}  // namespace payonce::llm
