#include "llm/error_body.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace payonce::llm {
namespace json = boost::json;
namespace {

// Anthropic's error types by status (docs.anthropic.com, API errors, 2026-11).
std::string_view anthropic_type(int status) {
  switch (status) {
    case 400: return "invalid_request_error";
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 504: return "timeout_error";
    case 529: return "overloaded_error";
    default: return status < 500 ? "invalid_request_error" : "api_error";
  }
}

// OpenAI's types (platform.openai.com, error codes, 2026-11).
std::string_view openai_type(int status) {
  switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 429: return "rate_limit_error";
    case 501:
    case 505: return "invalid_request_error";  // what the client asked of HTTP itself
    default: return status < 500 ? "invalid_request_error" : "server_error";
  }
}

std::string_view openai_code(int status) {
  switch (status) {
    case 401: return "invalid_api_key";
    case 404: return "not_found";
    case 413: return "request_too_large";
    case 429: return "rate_limit_exceeded";
    case 502: return "upstream_unavailable";
    case 504: return "timeout";
    case 501:
    case 505: return "invalid_request";
    default: return status < 500 ? "invalid_request" : "internal_error";
  }
}

// Google's codes (google.rpc.Code, as ai.google.dev's errors name them, 2026-11).
std::string_view google_status(int status) {
  switch (status) {
    case 401: return "UNAUTHENTICATED";
    case 403: return "PERMISSION_DENIED";
    case 404: return "NOT_FOUND";
    case 429: return "RESOURCE_EXHAUSTED";
    case 502:
    case 503: return "UNAVAILABLE";
    case 504: return "DEADLINE_EXCEEDED";
    default: return status < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
  }
}

}  // namespace

std::string error_body(Dialect dialect, int status, std::string_view message) {
  if (dialect == Dialect::kGemini)
    return json::serialize(json::object{
        {"error", json::object{{"code", status}, {"message", message}, {"status", google_status(status)}}}});
  if (is_anthropic(dialect))
    return json::serialize(json::object{
        {"type", "error"}, {"error", json::object{{"type", anthropic_type(status)}, {"message", message}}}});
  return json::serialize(json::object{
      {"error",
       json::object{
           {"message", message}, {"type", openai_type(status)}, {"param", nullptr}, {"code", openai_code(status)}}}});
}

std::string error_event(Dialect dialect, int status, std::string_view message) {
  const std::string body = error_body(dialect, status, message);
  if (is_anthropic(dialect)) return fmt::format("event: error\ndata: {}\n\n", body);
  if (dialect == Dialect::kOpenAiResponses) {
    const std::string event = json::serialize(json::object{{"type", "error"},
                                                           {"code", openai_code(status)},
                                                           {"message", message},
                                                           {"param", nullptr},
                                                           {"sequence_number", 0}});
    return fmt::format("event: error\ndata: {}\n\n", event);
  }
  return fmt::format("data: {}\n\n", body);
}

}  // namespace payonce::llm
