#include "engine/api/errors.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "base/hash.h"
#include "llm/error_body.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;

constexpr std::string_view kRetryAfter_s = "1";  // a queue is short-lived; SDKs back off from there by themselves

// The name between quotes that a message begins with, or "".
std::string_view param_of(std::string_view message) {
  if (!message.starts_with('\'')) return {};
  const size_t end = message.find('\'', 1);
  return end == std::string_view::npos ? std::string_view() : message.substr(1, end - 1);
}

// OpenAI's error object carries which field it is about, and a code of its own for prompts that are too long.
std::string body_of(llm::Dialect dialect, int status, const base::Error& error) {
  std::string plain = llm::error_body(dialect, status, error.message);
  if (llm::is_anthropic(dialect)) return plain;
  json::value body = json::parse(plain);
  json::object& inner = body.as_object()["error"].as_object();
  if (const std::string_view param = param_of(error.message); !param.empty()) inner["param"] = param;
  if (error.code == base::Code::kTooLarge) inner["code"] = "context_length_exceeded";
  return json::serialize(body);
}

// The official clients show this to their users as the request's id.
void add_request_id(llm::Dialect dialect, net::Headers& headers) {
  headers.add(llm::is_anthropic(dialect) ? "request-id" : "x-request-id", "req_" + base::random_hex(12));
}

}  // namespace

int error_status(const base::Error& error) {
  switch (error.code) {
    case base::Code::kTooLarge: return 400;
    case base::Code::kUnavailable: return 503;
    default: return base::code_http_status(error.code);
  }
}

Answer error_answer(llm::Dialect dialect, int status, const base::Error& error) {
  Answer out;
  out.head.status = status;
  out.head.headers.add("Content-Type", "application/json");
  if (status == 429 || status == 503) out.head.headers.add("Retry-After", kRetryAfter_s);
  add_request_id(dialect, out.head.headers);
  out.body = base::Bytes(body_of(dialect, status, error));
  return out;
}

Answer error_answer(llm::Dialect dialect, const base::Error& error) {
  return error_answer(dialect, error_status(error), error);
}

std::string error_event(llm::Dialect dialect, const base::Error& error, int64_t sequence) {
  const int status = error_status(error);
  if (dialect != llm::Dialect::kOpenAiResponses) return llm::error_event(dialect, status, error.message);
  const json::value body = json::parse(body_of(dialect, status, error));
  const json::object& inner = body.as_object().at("error").as_object();
  return fmt::format("event: error\ndata: {}\n\n", json::serialize(json::object{{"type", "error"},
                                                                                {"code", inner.at("code")},
                                                                                {"message", error.message},
                                                                                {"param", inner.at("param")},
                                                                                {"sequence_number", sequence}}));
}

Answer json_answer(llm::Dialect dialect, std::string body) {
  Answer out;
  out.head.headers.add("Content-Type", "application/json");
  add_request_id(dialect, out.head.headers);
  out.body = base::Bytes(std::move(body));
  return out;
}

net::ResponseHead stream_head(llm::Dialect dialect) {
  net::ResponseHead head;
  head.headers.add("Content-Type", "text/event-stream; charset=utf-8");
  head.headers.add("Cache-Control", "no-cache");
  add_request_id(dialect, head.headers);
  return head;
}

}  // namespace payonce::engine
