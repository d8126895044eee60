// POST /v1/chat/completions (platform.openai.com, API reference, 2026-11), with the extensions that vLLM and
// llama-server have made common.
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>

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

void read_tool_calls(Fields& message, Turn& turn) {
  const json::array* calls = message.array("tool_calls");
  for (size_t i = 0; calls != nullptr && i < calls->size(); ++i) {
    const std::string path = fmt::format("tool_calls[{}]", i);
    const json::object* call = (*calls)[i].if_object();
    const json::value* function = call == nullptr ? nullptr : call->if_contains("function");
    if (function == nullptr || !function->is_object())
      return message.refuse(path, "must be an object with a function");
    Fields outer(*call, message.path(path));
    Fields inner(function->get_object(), message.path(path + ".function"));
    const auto id = outer.text("id");
    const auto name = inner.text("name");
    const auto arguments = inner.text("arguments");
    if (!name) inner.refuse("name", "is missing");
    if (!outer.ok()) return message.refuse(outer.status().error());
    if (!inner.ok()) return message.refuse(inner.status().error());
    turn.tool_calls.push_back(
        json::object{{"id", id.value_or("")},
                     {"type", "function"},
                     {"function", json::object{{"name", *name}, {"arguments", arguments.value_or("{}")}}}});
  }
}

void read_message(Fields& message, Conversation& out) {
  std::string role = message.text("role").value_or("");
  if (role == "developer") role = "system";
  if (role != "system" && role != "user" && role != "assistant" && role != "tool")
    return message.refuse("role", "must be \"system\", \"developer\", \"user\", \"assistant\" or \"tool\"");
  out.turns.push_back({.role = role});
  out.turns.back().name = message.text("name").value_or("");
  read_text_content(message, "content", out);
  Turn& turn = out.turns.back();
  if (role == "assistant") {
    turn.reasoning = message.text("reasoning_content").value_or("");
    if (turn.parts.empty())
      if (auto refusal = message.text("refusal")) turn.parts.push_back(*std::move(refusal));
    read_tool_calls(message, turn);
  } else if (role == "tool") {
    turn.tool_call_id = message.text("tool_call_id").value_or("");
  }
  if (turn.parts.empty() && turn.tool_calls.empty() && role != "assistant" && !message.has("content"))
    message.refuse("content", "is missing");
  if (const auto ttl_s = read_cache_control(message)) out.mark_here(*ttl_s);
}

// response_format, and the same by the names of other servers.
void read_format(Fields& fields, Conversation& out) {
  Guide guide = read_guide(fields);
  out.json_schema = std::move(guide.json_schema);
  out.grammar = std::move(guide.gbnf);
  const json::object* format = fields.object("response_format");
  if (format == nullptr) return;
  Fields inner(*format, "response_format");
  const std::string type = inner.text("type").value_or("");
  std::string schema;
  if (type == "json_object") {
    schema = R"({"type":"object"})";
  } else if (type == "json_schema") {
    const json::object* wrapper = inner.object("json_schema");
    const json::value* given = wrapper == nullptr ? nullptr : wrapper->if_contains("schema");
    if (given == nullptr || !given->is_object())
      inner.refuse("json_schema.schema", "must be a JSON schema");
    else
      schema = json::serialize(*given);
  } else if (type != "text") {
    inner.refuse("type", "must be \"text\", \"json_object\" or \"json_schema\"");
  }
  if (!inner.ok()) fields.refuse(inner.status().error());
  if (schema.empty()) return;
  if (!out.json_schema.empty() || !out.grammar.empty())
    fields.refuse("response_format", "contradicts guided_json or a grammar: give one of them");
  out.json_schema = std::move(schema);
}

void read_template_switches(Fields& fields, Conversation& out) {
  if (const json::object* kwargs = fields.object("chat_template_kwargs"))
    for (const auto& [name, value] : *kwargs) {
      if (name == "enable_thinking" && value.is_bool()) out.enable_thinking = value.get_bool();
      out.kwargs.emplace_back(name, json::serialize(value));
    }
  out.enable_thinking = fields.boolean("enable_thinking").value_or(out.enable_thinking);
  if (fields.has("reasoning_effort") && fields.text("reasoning_effort") == "none") out.enable_thinking = false;
  out.continue_last = fields.boolean("continue_final_message").value_or(false);
  out.add_generation_prompt = fields.boolean("add_generation_prompt").value_or(!out.continue_last);
  if (!out.continue_last) return;
  if (fields.has("add_generation_prompt") && out.add_generation_prompt)
    fields.refuse("continue_final_message", "contradicts add_generation_prompt: give one of them");
  if (out.turns.empty() || out.turns.back().role != "assistant" || !out.turns.back().tool_calls.empty())
    fields.refuse("continue_final_message", "needs an assistant's message of text as the last one");
}

void read_limit(Fields& fields, Generate& out) {
  const auto completion = fields.integer("max_completion_tokens", 1, INT32_MAX);
  const auto total = fields.integer("max_tokens", 1, INT32_MAX);
  if (completion && total && *completion != *total)
    fields.refuse("max_tokens", "contradicts max_completion_tokens: give one of them");
  out.stopping.max_tokens = static_cast<int32_t>(completion ? *completion : total.value_or(0));
}

void read_chat_logprobs(Fields& fields, const RequestContext& context, Generate& out) {
  const bool wanted = fields.boolean("logprobs").value_or(false);
  const auto top = fields.integer("top_logprobs", 0, context.limits.max_logprobs);
  if (top && !wanted) fields.refuse("top_logprobs", "needs 'logprobs' to be true");
  if (wanted) out.logprobs = static_cast<int32_t>(top.value_or(0));
}

}  // namespace

base::Result<Prepared> read_chat(const RequestContext& context, const json::object& body) {
  Fields fields(body);
  Conversation conversation;
  Generate request;
  read_openai_tools(fields, conversation);
  read_each_message(fields, [&](Fields& message) { read_message(message, conversation); });
  read_format(fields, conversation);
  read_template_switches(fields, conversation);
  read_sampling(fields, context, request);
  read_stops(fields, "stop", context, request.stopping);
  read_limit(fields, request);
  read_chat_logprobs(fields, context, request);
  const Framing framing = read_framing(fields);
  read_choices(fields, context, framing.stream, request);
  PAYONCE_CHECK_OK(fields.status());
  PAYONCE_TRY(auto syntax, set_prompt(context, conversation, llm::Dialect::kOpenAiChat, request));
  AnswerIdentity identity = context.identity;
  identity.id = "chatcmpl-" + base::random_hex(12);
  Prepared out;
  out.writer = make_chat_answer(std::move(identity), {.chat = context.chat,
                                                      .vocab = context.vocab,
                                                      .syntax = std::move(syntax),
                                                      .n = request.n,
                                                      .logprobs = request.logprobs >= 0,
                                                      .stream = framing.stream,
                                                      .include_usage = framing.include_usage});
  out.generates.push_back(std::move(request));
  return out;
}

}  // namespace payonce::engine
