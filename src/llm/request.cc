#include "llm/request.h"

#include <fmt/format.h>

#include <charconv>

namespace payonce::llm {
namespace {

base::Result<bool> boolean(const Tape& tape, uint32_t node, std::string_view name) {
  if (node == Tape::kNone || tape[node].type == JsonType::kNull || tape[node].type == JsonType::kFalse) return false;
  if (tape[node].type == JsonType::kTrue) return true;
  return base::fail(base::Code::kInvalid,
                    fmt::format("\"{}\" at byte {}: expected true or false", name, tape[node].begin));
}

}  // namespace

base::Result<Request> parse_request(Dialect dialect, base::Bytes body) {
  Request out;
  out.dialect = dialect;
  out.body = std::move(body);
  const std::string_view text = out.body.view();
  if (text.empty()) return base::fail(base::Code::kInvalid, "the body is empty; expected a JSON object");
  PAYONCE_TRY(out.tape, Tape::parse(text));
  const Tape& tape = out.tape;
  if (tape[0].type != JsonType::kObject)
    return base::fail(base::Code::kInvalid,
                      fmt::format("the body is not a JSON object; it starts with '{}'", text[tape[0].begin]));

  if (const uint32_t model = tape.find(text, 0, "model");
      model != Tape::kNone && tape[model].type == JsonType::kString)
    out.model = tape.decoded(text, model);
  PAYONCE_TRY(out.stream, boolean(tape, tape.find(text, 0, "stream"), "stream"));
  if (const uint32_t options = tape.find(text, 0, "stream_options"); options != Tape::kNone) {
    const uint32_t usage = tape.find(text, options, "include_usage");
    out.include_usage = usage != Tape::kNone && tape[usage].type == JsonType::kTrue;
  }
  const uint32_t temperature = tape.find(text, 0, "temperature");
  if (temperature != Tape::kNone && tape[temperature].type == JsonType::kNumber) {
    const std::string_view raw = tape.raw(text, temperature);
    double value = 1;
    if (std::from_chars(raw.data(), raw.data() + raw.size(), value).ec == std::errc()) out.temperature = value;
  }
  return out;
}

}  // namespace payonce::llm
