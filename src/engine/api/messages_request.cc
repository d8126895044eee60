// POST /v1/messages and /v1/messages/count_tokens (docs.anthropic.com, Messages API, 2026-11).
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

#include "base/hash.h"
#include "engine/api/cache_control.h"
#include "engine/api/chat_answer.h"
#include "engine/api/conversation.h"
#include "engine/api/requests.h"
#include "engine/api/sampling_fields.h"
#include "engine/api/tool_fields.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;

// The turn that a block of `role` goes to: consecutive turns of one role are one turn, as Anthropic has it, but a
// tool's result is a turn of its own, and nothing is said behind a tool call.
Turn& turn_for(Conversation& out, std::string_view role) {
  if (out.turns.empty() || out.turns.back().role != role || !out.turns.back().tool_calls.empty())
    out.turns.push_back({.role = std::string(role)});
  return out.turns.back();
}

void read_tool_use(Fields& block, Conversation& out) {
  const auto id = block.text("id");
  const auto name = block.text("name");
  if (!name) block.refuse("name", "is missing");
  const json::object* input = block.object("input");
  if (!block.ok()) return;
  if (out.turns.empty() || out.turns.back().role != "assistant") out.turns.push_back({.role = "assistant"});
  const std::string arguments = input == nullptr ? "{}" : json::serialize(*input);
  out.turns.back().tool_calls.push_back(
      json::object{{"id", id.value_or("")},
                   {"type", "function"},
                   {"function", json::object{{"name", *name}, {"arguments", arguments}}}});
}

void read_tool_result(Fields& block, Conversation& out) {
  const auto id = block.text("tool_use_id");
  if (!id) block.refuse("tool_use_id", "is missing");
  out.turns.push_back({.role = "tool", .tool_call_id = id.value_or("")});
  read_text_content(block, "content", out);
}

void read_block(Fields& block, std::string_view role, Conversation& out) {
  const std::string type = block.text("type").value_or("");
  if (type == "text") {
    turn_for(out, role);
    read_text_part(block, out);
    return;
  }
  if (type == "tool_use" && role == "assistant") {
    read_tool_use(block, out);
  } else if (type == "tool_result" && role == "user") {
    read_tool_result(block, out);
  } else if (type == "thinking" && role == "assistant") {
    turn_for(out, role).reasoning += block.text("thinking").value_or("");
  } else if (type != "redacted_thinking") {
    return block.refuse("type",
                        fmt::format("is \"{}\": this model reads text, tool_use and tool_result only, each in "
                                    "its own role's message",
                                    type));
  }
  if (const auto ttl_s = read_cache_control(block); ttl_s && block.ok()) out.mark_here(*ttl_s);
}

void read_content(Fields& message, std::string_view role, Conversation& out) {
  const json::value* content = message.any("content");
  if (content == nullptr) return message.refuse("content", "is missing");
  if (content->is_string()) {
    turn_for(out, role).parts.emplace_back(content->get_string());
    return;
  }
  const json::array* blocks = message.array("content");
  for (size_t i = 0; blocks != nullptr && i < blocks->size() && message.ok(); ++i) {
    const std::string path = fmt::format("content[{}]", i);
    if (!(*blocks)[i].is_object()) return message.refuse(path, "must be an object, but is " + describe((*blocks)[i]));
    Fields block((*blocks)[i].get_object(), message.path(path));
    read_block(block, role, out);
    if (!block.ok()) message.refuse(block.status().error());
  }
}

void read_system(Fields& fields, Conversation& out) {
  if (!fields.has("system")) return;
  out.turns.push_back({.role = "system"});
  read_text_content(fields, "system", out);
  if (out.turns.back().parts.empty()) out.turns.pop_back();
}

void read_turns(Fields& fields, Conversation& out) {
  read_each_message(fields, [&](Fields& message) {
    const std::string role = message.text("role").value_or("");
    if (role != "user" && role != "assistant" && role != "system")
      message.refuse("role", "must be \"user\" or \"assistant\"");
    else
      read_content(message, role, out);
  });
  // An assistant's message at the end is the beginning of the answer.
  out.continue_last =
      !out.turns.empty() && out.turns.back().role == "assistant" && out.turns.back().tool_calls.empty();
}

// Structured outputs: output_config.format, and output_format as its beta had it.
void read_output_format(Fields& fields, Conversation& out) {
  const json::object* format = nullptr;
  std::string path = "output_format";
  if (const json::object* config = fields.object("output_config")) {
    Fields outer(*config, "output_config");
    format = outer.object("format");
    path = outer.path("format");
    if (!outer.ok()) fields.refuse(outer.status().error());
  } else {
    format = fields.object("output_format");
  }
  if (format == nullptr) return;
  Fields inner(*format, path);
  if (inner.text("type") != "json_schema") inner.refuse("type", "must be \"json_schema\"");
  if (const json::object* schema = inner.object("schema"))
    out.json_schema = json::serialize(*schema);
  else
    inner.refuse("schema", "must be a JSON schema");
  if (!inner.ok()) fields.refuse(inner.status().error());
}

// Extended thinking is the template's switch; a budget of tokens means nothing to these models.
bool read_thinking(Fields& fields, Conversation& out) {
  out.enable_thinking = false;
  const json::object* thinking = fields.object("thinking");
  if (thinking == nullptr) return false;
  Fields inner(*thinking, "thinking");
  const std::string type = inner.text("type").value_or("");
  if (type != "enabled" && type != "disabled" && type != "adaptive" && type != "between_tools")
    inner.refuse("type", "must be \"enabled\", \"adaptive\", \"between_tools\" or \"disabled\"");
  if (!inner.ok()) fields.refuse(inner.status().error());
  out.enable_thinking = type != "disabled";
  return out.enable_thinking;
}

Conversation read_conversation(Fields& fields) {
  Conversation out;
  read_anthropic_tools(fields, out);
  read_system(fields, out);
  read_turns(fields, out);
  // The request's own mark stands after its last block.
  if (const auto ttl_s = read_cache_control(fields)) out.mark_here(*ttl_s);
  read_output_format(fields, out);
  return out;
}

}  // namespace

base::Result<Prepared> read_messages(const RequestContext& context, const json::object& body) {
  Fields fields(body);
  Generate request;
  Conversation conversation = read_conversation(fields);
  const bool thinking = read_thinking(fields, conversation);
  read_sampling(fields, context, request);
  read_stops(fields, "stop_sequences", context, request.stopping);
  const auto max_tokens = fields.integer("max_tokens", 1, INT32_MAX);
  if (!max_tokens) fields.refuse("max_tokens", "is missing");
  const bool stream = fields.boolean("stream").value_or(false);
  PAYONCE_CHECK_OK(fields.status());
  request.stopping.max_tokens = static_cast<int32_t>(*max_tokens);
  std::vector<std::string> own_stops = request.stopping.strings;
  PAYONCE_TRY(auto syntax, set_prompt(context, conversation, llm::Dialect::kAnthropicMessages, request));
  AnswerIdentity identity = context.identity;
  identity.id = "msg_" + base::random_hex(12);
  Prepared out;
  out.writer = make_messages_answer(std::move(identity), {.chat = context.chat,
                                                          .syntax = std::move(syntax),
                                                          .stream = stream,
                                                          .show_thinking = thinking,
                                                          .marks = request.marks,
                                                          .stop_sequences = std::move(own_stops)});
  out.generates.push_back(std::move(request));
  return out;
}

base::Result<std::string> count_tokens(const RequestContext& context, const json::object& body) {
  Fields fields(body);
  Conversation conversation = read_conversation(fields);
  read_thinking(fields, conversation);
  PAYONCE_CHECK_OK(fields.status());
  PAYONCE_CHECK_OK(check_marks(conversation, context.limits.max_cache_marks));
  conversation.cuts.clear();
  PAYONCE_TRY(const Prompt prompt, render(context, conversation));
  return json::serialize(json::object{{"input_tokens", prompt.tokens.size()}});
}

}  // namespace payonce::engine
