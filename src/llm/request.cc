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

std::optional<double> number(std::string_view text, const Tape& tape, uint32_t node) {
  if (node == Tape::kNone || tape[node].type != JsonType::kNumber) return std::nullopt;
  const std::string_view raw = tape.raw(text, node);
  double value = 1;
  if (std::from_chars(raw.data(), raw.data() + raw.size(), value).ec != std::errc()) return std::nullopt;
  return value;
}

// Its temperature has a place of its own, and the model and the framing are in the path.
void read_gemini(std::string_view target, Request& out) {
  const std::string_view text = out.body.view();
  if (const auto told = gemini_target(target)) {
    out.model = told->model;
    out.stream = told->stream;
  }
  for (const std::string_view name : {"generationConfig", "generation_config"})
    if (const uint32_t config = out.tape.find(text, 0, name); config != Tape::kNone && !out.temperature)
      out.temperature = number(text, out.tape, out.tape.find(text, config, "temperature"));
}

}  // namespace

base::Result<Request> parse_request(Dialect dialect, base::Bytes body, std::string_view target) {
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

  if (dialect == Dialect::kGemini) {
    read_gemini(target, out);
    return out;
  }
  if (const uint32_t model = tape.find(text, 0, "model");
      model != Tape::kNone && tape[model].type == JsonType::kString)
    out.model = tape.decoded(text, model);
  PAYONCE_TRY(out.stream, boolean(tape, tape.find(text, 0, "stream"), "stream"));
  if (const uint32_t options = tape.find(text, 0, "stream_options"); options != Tape::kNone) {
    const uint32_t usage = tape.find(text, options, "include_usage");
    out.include_usage = usage != Tape::kNone && tape[usage].type == JsonType::kTrue;
  }
  out.temperature = number(text, tape, tape.find(text, 0, "temperature"));
  return out;
}

}  // namespace payonce::llm
