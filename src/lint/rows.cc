#include "lint/rows.h"

#include <charconv>
#include <chrono>

#include "llm/json_tape.h"
#include "llm/response.h"
#include "prefix/breakers/json_place.h"

namespace payonce::lint {
namespace {

using base::Code;
using llm::Dialect;
using llm::JsonType;
using llm::Tape;
using prefix::string_member;

uint32_t first_of(const Tape& tape, std::string_view text, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names)
    if (const uint32_t node = tape.find(text, 0, name); node != Tape::kNone && tape[node].type != JsonType::kNull)
      return node;
  return Tape::kNone;
}

std::string text_of(const Tape& tape, std::string_view text, uint32_t node) {
  if (node == Tape::kNone) return {};
  return tape[node].type == JsonType::kString ? tape.decoded(text, node) : std::string(tape.raw(text, node));
}

int64_t number_of(const Tape& tape, std::string_view text, uint32_t node) {
  double value = -1;
  const std::string raw = text_of(tape, text, node);
  (void)std::from_chars(raw.data(), raw.data() + raw.size(), value);
  return value >= 0 && value < 1e15 ? static_cast<int64_t>(value) : -1;
}

Dialect dialect_of_path(std::string_view path) {
  if (const size_t query = path.find('?'); query != std::string_view::npos) path = path.substr(0, query);
  if (path.ends_with("/chat/completions")) return Dialect::kOpenAiChat;
  if (path.ends_with("/responses")) return Dialect::kOpenAiResponses;
  if (path.ends_with("/messages")) return Dialect::kAnthropicMessages;
  return path.empty() ? Dialect::kOther : llm::classify("POST", path);
}

std::string host_of(std::string_view path) {
  const size_t scheme = path.find("://");
  if (scheme == std::string_view::npos) return {};
  path.remove_prefix(scheme + 3);
  return std::string(path.substr(0, path.find('/')));
}

bool is_body(const Tape& tape, std::string_view text) {
  return first_of(tape, text, {"messages", "input", "instructions"}) != Tape::kNone;
}

int digits(std::string_view text, size_t at, size_t count) {
  int out = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    out = out * 10 + (text[i] - '0');
  }
  return out;
}

}  // namespace

std::optional<int64_t> parse_time_ms(std::string_view text) {
  if (text.size() < 10) return std::nullopt;
  if (text[4] != '-') {
    double value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc() || value <= 0)
      return std::nullopt;
    const double ms = value < 1e11 ? value * 1000 : value < 1e14 ? value : value < 1e17 ? value / 1000 : value / 1e6;
    return ms < 9e15 ? std::optional(static_cast<int64_t>(ms)) : std::nullopt;
  }
  const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  int64_t ms = std::chrono::sys_days(date).time_since_epoch().count() * int64_t{86'400'000};
  if (text.size() == 10) return ms;
  const int hour = digits(text, 11, 2), minute = digits(text, 14, 2);
  if (hour < 0 || minute < 0) return std::nullopt;
  ms += (hour * int64_t{60} + minute) * 60'000;
  size_t at = 16;
  if (const int second = digits(text, 17, 2); at < text.size() && text[at] == ':' && second >= 0) {
    ms += second * 1000;
    at = 19;
  }
  if (at < text.size() && text[at] == '.') {
    int64_t scale = 100;
    for (++at; at < text.size() && text[at] >= '0' && text[at] <= '9'; ++at, scale /= 10)
      ms += (text[at] - '0') * scale;
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const int hours = digits(text, at + 1, 2),
              minutes = digits(text, at + (at + 3 < text.size() && text[at + 3] == ':' ? 4 : 3), 2);
    if (hours < 0) return std::nullopt;
    ms -= (text[at] == '+' ? 1 : -1) * (hours * int64_t{60} + std::max(minutes, 0)) * 60'000;
  }
  return ms;
}

llm::Dialect guess_dialect(std::string_view body) {
  const auto tape = Tape::parse(body);
  if (!tape || (*tape)[0].type != JsonType::kObject) return Dialect::kOther;
  const auto has = [&](std::string_view name) { return tape->find(body, 0, name) != Tape::kNone; };
  if (!has("messages")) return has("input") || has("instructions") ? Dialect::kOpenAiResponses : Dialect::kOther;
  if (has("system") || has("anthropic_version") || has("thinking") || has("cache_control"))
    return Dialect::kAnthropicMessages;
  const auto mentions = [&](std::string_view text) { return body.find(text) != std::string_view::npos; };
  const bool shape = mentions("\"input_schema\"") || mentions("\"tool_use\"") || mentions("\"tool_result\"");
  const bool claude = string_member(*tape, body, 0, "model").find("claude") != std::string::npos;
  return shape || (claude && has("max_tokens") && !mentions("\"tool_calls\"") && !mentions("\"role\":\"system\"") &&
                   !mentions("\"role\": \"system\""))
             ? Dialect::kAnthropicMessages
             : Dialect::kOpenAiChat;
}

base::Result<Row> read_row(std::string_view text) {
  PAYONCE_TRY(const Tape tape, Tape::parse(text));
  if (tape[0].type != JsonType::kObject) return base::fail(Code::kInvalid, "expected a JSON object");
  Row row;
  const uint32_t request = first_of(tape, text, {"request", "request_body", "body"});
  const bool wrapped = request != Tape::kNone && !is_body(tape, text);
  if (wrapped && tape[request].type == JsonType::kString) {
    row.decoded = tape.decoded(text, request);
  } else if (wrapped && tape[request].type == JsonType::kObject) {
    // A recorder's envelope: {"request": {"url": …, "headers": …, "body": {…}}}
    const uint32_t inner = tape.find(text, request, "body");
    const uint32_t node = inner != Tape::kNone && tape[inner].type == JsonType::kObject ? inner : request;
    row.request = tape.raw(text, node);
    row.column = tape[node].begin;
  } else if (is_body(tape, text)) {
    row.request = tape.raw(text, 0);
    row.column = tape[0].begin;
  } else {
    return base::fail(Code::kInvalid, "no request in it: expected \"request\", or \"messages\" or \"input\"");
  }
  if (!wrapped) {
    row.dialect = guess_dialect(row.request);
    return row;
  }
  const std::string path = text_of(tape, text, first_of(tape, text, {"path", "url", "endpoint"}));
  row.dialect = dialect_of_path(path);
  if (row.dialect == Dialect::kOther) row.dialect = guess_dialect(row.decoded.empty() ? row.request : row.decoded);
  const std::string time =
      text_of(tape, text, first_of(tape, text, {"timestamp", "ts", "time", "start_time", "startTime"}));
  row.meta.unix_ms = parse_time_ms(time).value_or(0);
  row.meta.latency_ms = number_of(tape, text, first_of(tape, text, {"latency_ms", "duration_ms"}));
  row.meta.first_byte_ms = number_of(tape, text, first_of(tape, text, {"first_byte_ms", "ttft_ms"}));
  row.meta.session = text_of(tape, text, first_of(tape, text, {"session", "session_id"}));
  row.meta.provider = text_of(tape, text, first_of(tape, text, {"provider", "upstream"}));
  if (row.meta.provider.empty()) row.meta.provider = host_of(path);
  if (const uint32_t response = first_of(tape, text, {"response", "response_body"}); response != Tape::kNone)
    row.response = tape.raw(text, response);
  return row;
}

void read_response(const Row& row, prefix::CallMeta& meta) {
  if (row.response.empty()) return;
  std::string answer(row.response);
  if (row.response.front() == '"')
    if (const auto tape = Tape::parse(row.response); tape) answer = tape->decoded(row.response, 0);
  const bool stream = answer.starts_with("event:") || answer.starts_with("data:");
  meta.usage = llm::analyse(row.dialect, stream ? llm::Form::kStream : llm::Form::kJson, answer).usage;
  if (stream) {
    const auto whole = llm::to_json(row.dialect, answer);
    answer = whole ? *whole : std::string();
  }
  const auto tape = Tape::parse(answer);
  if (!tape || (*tape)[0].type != JsonType::kObject) return;
  if (meta.provider.empty()) {
    const std::string id = string_member(*tape, answer, 0, "id");
    meta.provider = id.starts_with("msg_bdrk_")   ? "bedrock"
                    : id.starts_with("msg_vrtx_") ? "vertex"
                                                  : string_member(*tape, answer, 0, "provider");
  }
  meta.answer = std::move(answer);
}

}  // namespace payonce::lint
