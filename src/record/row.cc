// A recorded row. The request's own bytes are kept, so that a finding's byte is that of the request.
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "llm/json_edit.h"
#include "llm/json_tape.h"
#include "record/recorder.h"

namespace payonce::record {
namespace {

using llm::JsonType;
using llm::Tape;

// White space between the values of valid JSON is the only place where a line can end.
void keep_on_one_line(std::string& json) {
  std::ranges::replace(json, '\n', ' ');
  std::ranges::replace(json, '\r', ' ');
}

bool is_credential(std::string_view name) { return name == "authorization" || name == "authorization_token"; }

void overwrite(std::string& json, const llm::JsonNode& text) {
  const auto begin = json.begin() + text.begin + 1;
  std::fill(begin, begin + text.size - 2, 'x');
}

// The strings below `node` that hold credentials: members of that name, and all of a member "headers".
void cover(std::string& json, const Tape& tape, uint32_t node) {
  const std::string before = json;  // names are read from it
  for (uint32_t object = node; object < tape[node].next; ++object) {
    if (tape[object].type != JsonType::kObject) continue;
    uint32_t at = object + 1;
    for (uint32_t i = 0; i < tape[object].children; ++i, at = tape[at + 1].next) {
      const std::string name = tape.decoded(before, at);
      const uint32_t value = at + 1;
      if (tape[value].type == JsonType::kString && is_credential(name)) overwrite(json, tape[value]);
      if (tape[value].type != JsonType::kObject || name != "headers") continue;
      for (uint32_t field = value + 1; field < tape[value].next; field = tape[field + 1].next)
        if (tape[field + 1].type == JsonType::kString) overwrite(json, tape[field + 1]);
    }
  }
}

std::string request_text(const base::Bytes& body) {
  std::string out(body.view());
  const auto tape = Tape::parse(out);
  if (!tape) return "null";
  for (const std::string_view list : {"tools", "mcp_servers"})
    if (const uint32_t node = tape->find(out, 0, list); node != Tape::kNone) cover(out, *tape, node);
  keep_on_one_line(out);
  return out;
}

// A JSON answer as it is, a stream as a string of its text.
std::string response_text(const std::optional<base::Bytes>& body) {
  if (!body || body->empty()) return "null";
  std::string out(body->view());
  if (Tape::parse(out)) {
    keep_on_one_line(out);
    return out;
  }
  std::string text = llm::json_string(out);
  return Tape::parse(text) ? text : "null";  // not UTF-8
}

}  // namespace

std::string row_of(const Exchange& exchange, std::optional<base::Bytes> response) {
  const std::chrono::sys_time<std::chrono::milliseconds> time{std::chrono::milliseconds(exchange.unix_ms)};
  return fmt::format(
      R"({{"timestamp":"{:%Y-%m-%dT%H:%M:}{:%S}Z","latency_ms":{},"first_byte_ms":{},"path":{},"session":{},)"
      R"("user":{},"status":{},"cache":"{}","request":{},"response":{}}})",
      time, time.time_since_epoch(), exchange.latency_ms, exchange.first_byte_ms, llm::json_string(exchange.path),
      exchange.session.empty() ? "null" : llm::json_string(exchange.session), llm::json_string(exchange.user),
      exchange.status, exchange.cache, request_text(exchange.request), response_text(response));
}

}  // namespace payonce::record
