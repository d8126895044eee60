// POST /v1/responses (platform.openai.com, API reference, 2026-11). Responses are not stored: each request brings its
// whole conversation.
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

void read_function_call(Fields& item, Conversation& out) {
  const auto id = item.text("call_id");
  const auto name = item.text("name");
  const auto arguments = item.text("arguments");
  if (!name) item.refuse("name", "is missing");
  if (!id) item.refuse("call_id", "is missing");
  if (!item.ok()) return;
  if (out.turns.empty() || out.turns.back().role != "assistant") out.turns.push_back({.role = "assistant"});
  out.turns.back().tool_calls.push_back(
      json::object{{"id", *id},
                   {"type", "function"},
                   {"function", json::object{{"name", *name}, {"arguments", arguments.value_or("{}")}}}});
}

void read_message_item(Fields& item, Conversation& out) {
  std::string role = item.text("role").value_or("");
  if (role == "developer") role = "system";
  if (role != "system" && role != "user" && role != "assistant")
    return item.refuse("role", "must be \"user\", \"assistant\", \"system\" or \"developer\"");
  if (!item.has("content")) return item.refuse("content", "is missing");
  out.turns.push_back({.role = role});
  read_text_content(item, "content", out);
}

void read_item(Fields& item, Conversation& out) {
  const std::string type = item.text("type").value_or("message");
  if (type == "message") {
    read_message_item(item, out);
  } else if (type == "function_call") {
    read_function_call(item, out);
  } else if (type == "function_call_output") {
    const auto id = item.text("call_id");
    if (!id) return item.refuse("call_id", "is missing");
    out.turns.push_back({.role = "tool", .tool_call_id = *id});
    read_text_content(item, "output", out);
  } else if (type == "item_reference") {
    item.refuse("type", "is \"item_reference\": responses are not stored here, send the item itself");
  } else if (type != "reasoning") {  // what another model thought is of no use to this one
    item.refuse("type", fmt::format("is \"{}\": served are message, function_call and function_call_output", type));
  }
}

void read_input(Fields& fields, Conversation& out) {
  if (auto instructions = fields.text("instructions"); instructions && !instructions->empty())
    out.turns.push_back({.role = "system", .parts = {*std::move(instructions)}});
  const json::value* input = fields.any("input");
  if (input == nullptr) return fields.refuse("input", "is missing");
  if (input->is_string()) {
    out.turns.push_back({.role = "user", .parts = {std::string(input->get_string())}});
    return;
  }
  if (!input->is_array())
    return fields.refuse("input", "must be a string or a list of items, but is " + describe(*input));
  const json::array& items = input->get_array();
  if (items.empty()) return fields.refuse("input", "must hold at least one item");
  for (size_t i = 0; i < items.size() && fields.ok(); ++i) {
    const std::string path = fmt::format("input[{}]", i);
    if (!items[i].is_object()) return fields.refuse(path, "must be an object, but is " + describe(items[i]));
    Fields item(items[i].get_object(), path);
    read_item(item, out);
    if (!item.ok()) fields.refuse(item.status().error());
  }
}

void read_text_format(Fields& fields, Conversation& out) {
  const json::object* text = fields.object("text");
  if (text == nullptr) return;
  Fields outer(*text, "text");
  const json::object* format = outer.object("format");
  if (!outer.ok()) return fields.refuse(outer.status().error());
  if (format == nullptr) return;
  Fields inner(*format, "text.format");
  const std::string type = inner.text("type").value_or("");
  if (type == "json_object") {
    out.json_schema = R"({"type":"object"})";
  } else if (type == "json_schema") {
    if (const json::object* schema = inner.object("schema"))
      out.json_schema = json::serialize(*schema);
    else
      inner.refuse("schema", "must be a JSON schema");
  } else if (type != "text") {
    inner.refuse("type", "must be \"text\", \"json_object\" or \"json_schema\"");
  }
  if (!inner.ok()) fields.refuse(inner.status().error());
}

void read_reasoning(Fields& fields, Conversation& out) {
  const json::object* reasoning = fields.object("reasoning");
  if (reasoning == nullptr) return;
  Fields inner(*reasoning, "reasoning");
  if (inner.text("effort") == "none") out.enable_thinking = false;
  if (!inner.ok()) fields.refuse(inner.status().error());
}

void refuse_stored(Fields& fields) {
  constexpr std::string_view kNotStored = "is not served: responses are not stored here, send the whole conversation";
  for (const std::string_view name : {"previous_response_id", "conversation"})
    if (fields.has(name)) fields.refuse(name, kNotStored);
  if (fields.boolean("background").value_or(false)) fields.refuse("background", "is not served: wait for the answer");
}

// What a response says of its request, as the official API repeats it.
json::object echo_of(const json::object& body, const Conversation& conversation, const Generate& request) {
  const auto given = [&](std::string_view name, json::value otherwise) {
    const json::value* found = body.if_contains(name);
    return found == nullptr || found->is_null() ? std::move(otherwise) : *found;
  };
  const json::value plain = json::object{{"format", json::object{{"type", "text"}}}};
  return {{"instructions", given("instructions", nullptr)},
          {"max_output_tokens", given("max_output_tokens", nullptr)},
          {"metadata", given("metadata", json::object())},
          {"parallel_tool_calls", conversation.parallel_tool_calls},
          {"previous_response_id", nullptr},
          {"reasoning", given("reasoning", json::object{{"effort", nullptr}, {"summary", nullptr}})},
          {"service_tier", "default"},
          {"store", false},
          {"temperature", request.sampling.temperature},
          {"text", given("text", plain)},
          {"tool_choice", given("tool_choice", "auto")},
          {"tools", given("tools", json::array())},
          {"top_p", request.sampling.top_p},
          {"truncation", "disabled"},
          {"user", given("user", nullptr)}};
}

}  // namespace

base::Result<Prepared> read_responses(const RequestContext& context, const json::object& body) {
  Fields fields(body);
  Conversation conversation;
  Generate request;
  refuse_stored(fields);
  read_openai_tools(fields, conversation);
  read_input(fields, conversation);
  read_text_format(fields, conversation);
  read_reasoning(fields, conversation);
  read_sampling(fields, context, request);
  read_stops(fields, "stop", context, request.stopping);
  request.stopping.max_tokens = static_cast<int32_t>(fields.integer("max_output_tokens", 1, INT32_MAX).value_or(0));
  const bool stream = fields.boolean("stream").value_or(false);
  PAYONCE_CHECK_OK(fields.status());
  PAYONCE_TRY(auto syntax, set_prompt(context, conversation, llm::Dialect::kOpenAiResponses, request));
  AnswerIdentity identity = context.identity;
  identity.id = "resp_" + base::random_hex(16);
  Prepared out;
  out.writer = make_responses_answer(std::move(identity), {.chat = context.chat,
                                                           .syntax = std::move(syntax),
                                                           .stream = stream,
                                                           .echo = echo_of(body, conversation, request)});
  out.generates.push_back(std::move(request));
  return out;
}

}  // namespace payonce::engine
