// What bodies of requests and answers tell about a call.  Threads: pure functions apart from the arena.
#pragma once

#include <vector>

#include "history/call.h"
#include "history/json.h"

namespace payonce::history {

bool is_request_body(const Json& value);  // it has messages, input or instructions

// By the path of a URL, with or without a host; kOther: it does not say.
llm::Dialect dialect_of_path(std::string_view path);
// By the shape of the body, where no path says it.
llm::Dialect guess_dialect(const Json& body);

// request, dialect unless known, and where they are still empty: model, user, session.
void set_request(Call& call, const Json& body, Arena& arena);
// response, usage, and where they are still empty: model, provider. `body` is an object, or a string that holds one
// or the events of a stream. Set the request before: its dialect tells how the answer is read.
void set_response(Call& call, const Json& body, Arena& arena);

// A request of which the log keeps messages alone, or a prompt, beside parameters (an object, or nothing): put
// together and kept in the arena. "" where there are no messages.
std::string_view rebuilt_request(std::string_view model, const Json& messages, const Json& parameters, Arena& arena);
// The same for an answer that is one message, or its text: a chat completion.
std::string_view rebuilt_response(std::string_view model, const Json& message, Arena& arena);

// The blocks of a message's content, or the one text that it is.
void add_pieces(std::vector<Piece>& to, std::string_view role, const Json& content, int64_t at_ms);

// The client's session out of HTTP headers, an object or a list of pairs.
std::string_view session_of_headers(const Json& headers, Arena& arena);

// A JSON text of its own, kept in the arena with its tape as long as this lives: for JSON within strings.
class Embedded {
 public:
  // `value` itself where it is an object or a list; the parsed text where it is a string of one; else nothing.
  Embedded(const Json& value, Arena& arena);
  // `text` outlives it.
  explicit Embedded(std::string_view text);
  Embedded(const Embedded&) = delete;
  Embedded& operator=(const Embedded&) = delete;
  const Json& json() const { return json_; }

 private:
  llm::Tape tape_;
  Json json_;
};

}  // namespace payonce::history
