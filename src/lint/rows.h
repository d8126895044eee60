// One recorded call out of a line of a log: `{timestamp, latency_ms, path, session, request, response}`, every field
// but `request` optional, or a bare request body.  Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "llm/dialect.h"
#include "prefix/breakers/kept_request.h"

namespace payonce::lint {

struct Row {
  size_t file = 0;            // index into Input::files
  size_t line = 1;            // from 1
  size_t column = 0;          // bytes in front of `request` on its line or in its file
  std::string_view request;   // the body; of the file's text, or of `decoded`
  std::string_view response;  // raw JSON of the answer; empty: none
  std::string decoded;        // a request that the row holds as a string
  llm::Dialect dialect = llm::Dialect::kOther;
  prefix::CallMeta meta;  // without usage and answer
};

// `text` outlives the row. kInvalid: no JSON object, or nothing in it that is a request.
base::Result<Row> read_row(std::string_view text);
// Usage, answer and provider of the row's response.
void read_response(const Row& row, prefix::CallMeta& meta);

// By the shape of the body, where no path says it.
llm::Dialect guess_dialect(std::string_view body);
// RFC 3339 ("2026-03-03T14:05:09.120Z", "+01:00", " " for "T"), or a number of s, ms, µs or ns since 1970; in ms.
std::optional<int64_t> parse_time_ms(std::string_view text);

}  // namespace payonce::lint
