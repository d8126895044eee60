#include "llm/answer_text.h"

#include <boost/json.hpp>

#include "base/ascii.h"
#include "llm/codec.h"

namespace payonce::llm {
namespace json = boost::json;
namespace {

void add(AnswerText& out, std::string_view text) {
  if (text.empty()) return;
  if (!out.text.empty()) out.text += '\n';
  out.text += text;
}

const json::array& list(const json::object& from, std::string_view name) {
  static const json::array kNone;
  const json::array* found = codec::array_of(from, name);
  return found != nullptr ? *found : kNone;
}

// Parts of a message: {"type":"text"|"output_text","text":…}, or a call.
void add_parts(AnswerText& out, const json::array& parts) {
  for (const json::value& part : parts) {
    const json::object* object = part.if_object();
    if (object == nullptr) continue;
    const std::string_view type = codec::text_of(*object, "type");
    if (type.ends_with("tool_use") || type.ends_with("_call")) out.calls_tools = true;
    if (type == "text" || type == "output_text" || type == "refusal") {
      add(out, codec::text_of(*object, "text"));
      add(out, codec::text_of(*object, "refusal"));
    }
    add_parts(out, list(*object, "content"));
  }
}

void add_choice(AnswerText& out, const json::object& choice) {
  add(out, codec::text_of(choice, "text"));
  const json::object* message = codec::object_of(choice, "message");
  if (message == nullptr) return;
  add(out, codec::text_of(*message, "content"));
  add(out, codec::text_of(*message, "refusal"));
  add_parts(out, list(*message, "content"));
  out.calls_tools = out.calls_tools || !list(*message, "tool_calls").empty() ||
                    codec::object_of(*message, "function_call") != nullptr;
}

bool separates(char c) { return !base::is_utf8_letter(c) && !base::is_digit(c); }

}  // namespace

base::Result<AnswerText> answer_text(Dialect dialect, Form form, std::string_view body) {
  std::string whole;
  if (form == Form::kStream) {
    PAYONCE_TRY(whole, to_json(dialect, body));
    body = whole;
  }
  PAYONCE_TRY(const json::object parsed, codec::parse_object(body));
  AnswerText out;
  for (const json::value& choice : list(parsed, "choices"))
    if (choice.is_object()) add_choice(out, choice.get_object());
  add_parts(out, list(parsed, "content"));
  add_parts(out, list(parsed, "output"));
  return out;
}

std::string normalised_text(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    // A sign or a point that belongs to a number says something.
    const bool in_number = (c == '.' || c == '-' || c == ',') && i + 1 < text.size() && base::is_digit(text[i + 1]);
    if (separates(c) && !in_number) {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += base::lower(c);
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

}  // namespace payonce::llm
