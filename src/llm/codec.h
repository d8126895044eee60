// One codec a family of endpoints: reads a recorded answer and re-frames it. Internal to llm; response.h is the way
// in. Threads: pure functions. Errors: kInvalid when the recorded bytes are not what the dialect says.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "llm/response.h"

namespace payonce::llm::codec {

// Chat completions, and with `text` the older completions: chunks whose choices carry deltas, then "[DONE]".
struct Chat {
  static Analysis analyse_json(const boost::json::object& body);
  static Analysis analyse_stream(std::string_view stream);
  static base::Result<std::string> to_json(std::string_view stream, bool text);
  static std::string to_stream(const boost::json::object& body, bool text, bool include_usage);
  static std::string without_usage(std::string_view stream);
};

// Responses: typed events, the last of which carries the whole response.
struct Responses {
  static Analysis analyse_json(const boost::json::object& body);
  static Analysis analyse_stream(std::string_view stream);
  static base::Result<std::string> to_json(std::string_view stream);
  static std::string to_stream(const boost::json::object& body);
};

// Anthropic messages: message_start, content blocks, message_delta, message_stop.
struct Messages {
  static Analysis analyse_json(const boost::json::object& body);
  static Analysis analyse_stream(std::string_view stream);
  static base::Result<std::string> to_json(std::string_view stream);
  static std::string to_stream(const boost::json::object& body);
};

// Gemini: a stream is whole answers that each carry a piece; nothing marks its end but a reason in each candidate.
// The two framings have paths, and so keys, of their own: neither is made from the other.
struct Gemini {
  static Analysis analyse_json(const boost::json::object& body);
  static Analysis analyse_stream(std::string_view stream);
};

// Helpers that all of them need.
std::string_view text_of(const boost::json::object& from, std::string_view name);  // "" when not a string
const boost::json::object* object_of(const boost::json::object& from, std::string_view name);
const boost::json::array* array_of(const boost::json::object& from, std::string_view name);
// The data of an event as an object; null (empty optional) when it is not one.
base::Result<boost::json::object> parse_object(std::string_view text);

}  // namespace payonce::llm::codec
