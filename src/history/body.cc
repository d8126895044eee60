#include "history/body.h"

#include <algorithm>

#include "base/ascii.h"
#include "history/usage.h"
#include "llm/response.h"

namespace payonce::history {
namespace {

using llm::Dialect;
using llm::JsonType;

bool mentions(std::string_view body, std::string_view text) { return body.find(text) != std::string_view::npos; }

// Claude Code: user_<id>_account_<id>_session_<id>, or {"device_id", "account_uuid", "session_id"} as a string.
void split_user_id(Call& call, std::string_view user, Arena& arena) {
  if (const size_t at = user.find("_session_"); at != std::string_view::npos) {
    if (call.session.empty()) call.session = user.substr(at + 9);
    if (call.user.empty()) call.user = user.substr(0, at);
    return;
  }
  if (user.starts_with('{'))
    if (const auto tape = llm::Tape::parse(user)) {
      const Json parts(*tape, user);
      if (call.session.empty()) call.session = parts["session_id"].text(arena);
      if (call.user.empty()) call.user = parts.first({"account_uuid", "device_id"}).text(arena);
    }
  if (call.user.empty()) call.user = user;
}

std::string_view provider_of_id(std::string_view id) {
  if (id.starts_with("msg_bdrk_")) return "bedrock";
  return id.starts_with("msg_vrtx_") ? "vertex" : "";
}

void set_stream(Call& call, std::string_view events, Arena& arena) {
  call.response = events;
  const llm::Analysis answer = llm::analyse(call.dialect, llm::Form::kStream, events);
  call.usage = answer.usage;
  if (call.model.empty()) call.model = arena.keep(answer.model);
}

void set_object(Call& call, const Json& body, Arena& arena) {
  call.response = body.raw();
  const Json usage = body.first({"usage", "usageMetadata"});
  if (usage.is_object()) call.usage = usage_of(usage);
  if (body["error"].is_object() && !call.usage.known && call.status == 200) call.status = 500;
  if (call.model.empty()) call.model = body["model"].text(arena);
  if (call.provider.empty()) call.provider = provider_of_id(body["id"].word());
  if (call.provider.empty()) call.provider = body["provider"].text(arena);
}

}  // namespace

bool is_request_body(const Json& value) { return bool(value.first({"messages", "input", "instructions"})); }

Dialect dialect_of_path(std::string_view path) {
  path = path.substr(0, path.find('?'));
  if (path.ends_with("/chat/completions")) return Dialect::kOpenAiChat;
  if (path.ends_with("/responses")) return Dialect::kOpenAiResponses;
  if (path.ends_with("/messages")) return Dialect::kAnthropicMessages;
  return path.empty() ? Dialect::kOther : llm::classify("POST", path);
}

Dialect guess_dialect(const Json& body) {
  if (!body.is_object()) return Dialect::kOther;
  const auto has = [&](std::string_view name) { return body[name].raw().size() > 0; };
  if (!has("messages")) return has("input") || has("instructions") ? Dialect::kOpenAiResponses : Dialect::kOther;
  if (has("system") || has("anthropic_version") || has("thinking") || has("cache_control"))
    return Dialect::kAnthropicMessages;
  const std::string_view raw = body.raw();
  if (mentions(raw, "\"input_schema\"") || mentions(raw, "\"tool_use\"") || mentions(raw, "\"tool_result\""))
    return Dialect::kAnthropicMessages;
  const bool claude = mentions(body["model"].word(), "claude") && has("max_tokens");
  return claude && !mentions(raw, "\"tool_calls\"") && !mentions(raw, "\"role\":\"system\"") &&
                 !mentions(raw, "\"role\": \"system\"")
             ? Dialect::kAnthropicMessages
             : Dialect::kOpenAiChat;
}

void set_request(Call& call, const Json& body, Arena& arena) {
  call.request = body.raw();
  if (call.dialect == Dialect::kOther) call.dialect = guess_dialect(body);
  if (call.model.empty()) call.model = body["model"].text(arena);
  const Json metadata = body["metadata"];
  if (const Json user = metadata["user_id"]) split_user_id(call, user.text(arena), arena);
  if (call.session.empty()) call.session = metadata.first({"session_id", "conversation_id", "thread_id"}).text(arena);
  if (call.session.empty()) call.session = body["conversation"].text(arena);
  if (call.user.empty()) call.user = body.first({"user", "safety_identifier"}).text(arena);
}

void set_response(Call& call, const Json& body, Arena& arena) {
  if (body.is_object()) return set_object(call, body, arena);
  if (!body.is_string()) return;
  const std::string_view text = body.text(arena);
  if (text.starts_with("event:") || text.starts_with("data:")) return set_stream(call, text, arena);
  call.response = text;
  if (const auto tape = llm::Tape::parse(text); tape && (*tape)[0].type == JsonType::kObject)
    set_object(call, Json(*tape, text), arena);
}

std::string_view session_of_headers(const Json& headers, Arena& arena) {
  std::string_view found;
  const auto look = [&](std::string_view name, const Json& value) {
    std::string lower = base::lowered(name);
    std::ranges::replace(lower, '_', '-');
    for (const std::string_view known : {"x-claude-code-session-id", "session-id", "x-session-id",
                                         "helicone-session-id", "x-opencode-session", "conversation-id"})
      if (lower == known) found = value.is_array() ? Json().text(arena) : value.text(arena);
  };
  headers.each_member([&](const Json& name, const Json& value) { look(name.word(), value); });
  headers.each([&](const Json& pair) {
    Json name, value;
    pair.each([&](const Json& part) { (name ? value : name) = part; });
    look(name.word(), value);
  });
  return found;
}

Embedded::Embedded(std::string_view text) {
  auto tape = llm::Tape::parse(text);
  if (!tape) return;
  tape_ = std::move(*tape);
  json_ = Json(tape_, text);
}

Embedded::Embedded(const Json& value, Arena& arena) {
  if (value.is_object() || value.is_array()) {
    json_ = value;
    return;
  }
  const size_t start = value.word().find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || std::string_view("{[").find(value.word()[start]) == std::string_view::npos)
    return;
  const std::string_view text = value.text(arena);
  auto tape = llm::Tape::parse(text);
  if (!tape) return;
  tape_ = std::move(*tape);
  json_ = Json(tape_, text);
}

std::string_view rebuilt_request(std::string_view model, const Json& messages, const Json& parameters, Arena& arena) {
  std::string body = "{\"model\":\"";
  body.append(model).append("\",\"messages\":");
  if (messages.is_array() && messages.size() > 0)
    body.append(messages.raw());
  else if (messages.is_string() && messages.raw().size() > 2)
    body.append("[{\"role\":\"user\",\"content\":").append(messages.raw()).append("}]");
  else
    return {};
  parameters.each_member([&](const Json& name, const Json& value) {
    if (name.word() != "model" && name.word() != "messages" && value)
      body.append(",").append(name.raw()).append(":").append(value.raw());
  });
  return arena.keep(body.append("}"));
}

std::string_view rebuilt_response(std::string_view model, const Json& message, Arena& arena) {
  std::string body = "{\"object\":\"chat.completion\",\"model\":\"";
  body.append(model).append("\",\"choices\":[{\"index\":0,\"message\":");
  if (message.is_object())
    body.append(message.raw());
  else if (message.is_string())
    body.append("{\"role\":\"assistant\",\"content\":").append(message.raw()).append("}");
  else
    return {};
  return arena.keep(body.append(",\"finish_reason\":\"stop\"}]}"));
}

void add_pieces(std::vector<Piece>& to, std::string_view role, const Json& content, int64_t at_ms) {
  if (content.is_array())
    content.each([&](const Json& block) { to.push_back({role, block.raw(), at_ms}); });
  else if (content)
    to.push_back({role, content.raw(), at_ms});
}

}  // namespace payonce::history
