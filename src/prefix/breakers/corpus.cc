#include "prefix/breakers/corpus.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "llm/request.h"

namespace payonce::prefix::corpus {
namespace {

using llm::Dialect;

constexpr const char* kWords[] = {
    "order",    "refund", "policy",   "customer", "always",  "answer",    "short",    "cite",  "section",
    "table",    "module", "function", "returns",  "handler", "query",     "index",    "never", "reveal",
    "internal", "price",  "shipping", "within",   "region",  "carefully", "check",    "tests", "before",
    "after",    "change", "value",    "because",  "between", "result",    "document", "list",  "every"};

std::string sentence(std::mt19937& random, size_t words) {
  std::string out;
  for (size_t i = 0; i < words; ++i) out += (i == 0 ? "" : " ") + std::string(kWords[random() % std::size(kWords)]);
  out[0] = static_cast<char>(out[0] - 32);
  return out + ".";
}

json::object schema_of(std::mt19937& random, int properties) {
  json::object of;
  for (int i = 0; i < properties; ++i)
    of[fmt::format("{}_{}", kWords[random() % std::size(kWords)], i)] =
        json::object{{"type", i % 2 == 0 ? "string" : "integer"}, {"description", sentence(random, 8)}};
  return {{"type", "object"},
          {"properties", of},
          {"required", json::array{of.begin()->key()}},
          {"additionalProperties", false}};
}

std::vector<Tool> random_tools(std::mt19937& random, int count) {
  static constexpr const char* kNames[] = {"read_file", "write_file", "run_tests", "search_code",
                                           "list_dir",  "git_log",    "fetch_url"};
  std::vector<Tool> out;
  for (int i = 0; i < count; ++i) out.push_back({kNames[i], sentence(random, 30), schema_of(random, 4)});
  return out;
}

const char* model_of(Dialect dialect) {
  return dialect == Dialect::kAnthropicMessages ? "claude-sonnet-4-5" : "gpt-5.2";
}

std::string call_id(Dialect dialect, std::mt19937& random) {
  std::string out = dialect == Dialect::kAnthropicMessages ? "toolu_01" : "call_";
  for (int i = 0; i < 20; ++i) out += "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"[random() % 55];
  return out;
}

Message user(std::string text) { return {.who = Message::Who::kUser, .texts = {std::move(text)}}; }
Message assistant(std::string text) { return {.who = Message::Who::kAssistant, .texts = {std::move(text)}}; }

void tool_turn(std::vector<Message>& messages, const std::vector<Tool>& tools, Dialect dialect, std::mt19937& random,
               int count) {
  Message call = assistant(sentence(random, 9)), result{.who = Message::Who::kTool};
  call.thinking = "I should look at it. " + sentence(random, 20);
  for (int i = 0; i < count; ++i) {
    json::object input{{"path", fmt::format("src/{}.py", kWords[random() % std::size(kWords)])},
                       {"start_line", random() % 500},
                       {"pattern", sentence(random, 3)}};
    call.calls.push_back({call_id(dialect, random), tools[random() % tools.size()].name, input, ""});
    result.results.emplace_back(call.calls.back().id, long_text(400 + random() % 900, random));
  }
  messages.push_back(std::move(call));
  messages.push_back(std::move(result));
}

Calls agent(Dialect dialect, std::mt19937& random) {
  Calls out;
  const std::vector<Tool> tools = random_tools(random, 6);
  const std::vector<std::string> system = {"You are a coding agent.\n" + long_text(5000, random)};
  int64_t now = 1'772'546'709'000;
  for (size_t conversation = 0; conversation < 2; ++conversation) {
    Call call{.model = model_of(dialect),
              .session = fmt::format("sess-{}", conversation),
              .tools = tools,
              .system = system};
    call.conversation = conversation;
    call.messages.push_back(user("Please fix the failing test. " + sentence(random, 25)));
    for (size_t turn = 0; turn < 6; ++turn) {
      call.turn = turn;
      call.unix_ms = now;
      now += 9000 + static_cast<int64_t>(random() % 20000);
      out.push_back(call);
      if (turn == 3) {
        call.messages.push_back(assistant("Done. " + sentence(random, 12)));
        call.messages.push_back(user("Now " + sentence(random, 18)));
      } else {
        tool_turn(call.messages, tools, dialect, random, 1 + static_cast<int>(turn % 2));
      }
    }
  }
  return out;
}

Calls chat(Dialect dialect, std::mt19937& random) {
  std::vector<Call> users(3);
  const std::vector<std::string> system = {"You are the assistant of a shop.\n" + long_text(6000, random)};
  for (size_t i = 0; i < users.size(); ++i) {
    users[i] = {.model = model_of(dialect), .session = fmt::format("chat-{}", i), .system = system};
    users[i].conversation = i;
  }
  Calls out;
  int64_t now = 1'772'546'709'000;
  for (size_t turn = 0; turn < 4; ++turn)
    for (Call& call : users) {
      call.messages.push_back(user(sentence(random, 14 + turn)));
      call.turn = turn;
      call.unix_ms = now;
      now += 7000 + static_cast<int64_t>(random() % 9000);
      out.push_back(call);
      call.messages.push_back(assistant(long_text(300, random)));
    }
  return out;
}

Calls retrieval(Dialect dialect, std::mt19937& random) {
  Calls out;
  const std::vector<std::string> system = {"You answer from documents.\n" + long_text(5600, random)};
  int64_t now = 1'772'546'709'000;
  for (size_t i = 0; i < 6; ++i) {
    Call call{.model = model_of(dialect), .session = fmt::format("ask-{}", i), .system = system};
    std::string text = "Documents:\n";
    for (int document = 0; document < 4; ++document)
      text += fmt::format("<document index=\"{}\">\n{}\n</document>\n", document + 1, long_text(500, random));
    call.messages.push_back(user(text + "\nQuestion: " + sentence(random, 12)));
    call.conversation = i;
    call.unix_ms = now;
    now += 8000 + static_cast<int64_t>(random() % 9000);
    call.mark_last = false;
    out.push_back(call);
  }
  return out;
}

json::object marker() { return {{"type", "ephemeral"}}; }

json::value anthropic_message(const Message& message, bool marked) {
  json::array content;
  if (!message.thinking.empty())
    content.push_back(
        json::object{{"type", "thinking"}, {"thinking", message.thinking}, {"signature", "c2lnbmF0dXJl"}});
  if (!message.image.empty())
    content.push_back(
        json::object{{"type", "image"}, {"source", json::object{{"type", "url"}, {"url", message.image}}}});
  for (const std::string& text : message.texts) content.push_back(json::object{{"type", "text"}, {"text", text}});
  for (const ToolCall& call : message.calls)
    content.push_back(
        json::object{{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", call.input}});
  for (const auto& [id, text] : message.results)
    content.push_back(json::object{{"type", "tool_result"}, {"tool_use_id", id}, {"content", text}});
  if (marked) content.back().as_object()["cache_control"] = marker();
  return json::object{{"role", message.who == Message::Who::kAssistant ? "assistant" : "user"}, {"content", content}};
}

std::string arguments(const ToolCall& call) {
  return call.spelled.empty() ? json::serialize(call.input) : call.spelled;
}

void chat_messages(const Message& message, json::array& out) {
  if (message.who == Message::Who::kTool) {
    for (const auto& [id, text] : message.results)
      out.push_back(json::object{{"role", "tool"}, {"tool_call_id", id}, {"content", text}});
    return;
  }
  json::object made{{"role", message.who == Message::Who::kUser ? "user" : "assistant"}};
  if (!message.thinking.empty()) made["reasoning_content"] = message.thinking;
  if (message.image.empty() && message.texts.size() == 1) {
    made["content"] = message.texts[0];
  } else {
    json::array parts;
    if (!message.image.empty())
      parts.push_back(json::object{{"type", "image_url"}, {"image_url", json::object{{"url", message.image}}}});
    for (const std::string& text : message.texts) parts.push_back(json::object{{"type", "text"}, {"text", text}});
    made["content"] = parts;
  }
  json::array calls;
  for (const ToolCall& call : message.calls)
    calls.push_back(json::object{{"id", call.id},
                                 {"type", "function"},
                                 {"function", json::object{{"name", call.name}, {"arguments", arguments(call)}}}});
  if (!calls.empty()) made["tool_calls"] = calls;
  out.push_back(made);
}

void response_items(const Message& message, json::array& out) {
  if (!message.thinking.empty())
    out.push_back(json::object{{"type", "reasoning"},
                               {"id", "rs_" + std::to_string(message.thinking.size())},
                               {"summary", json::array{}},
                               {"encrypted_content", message.thinking}});
  const bool answer = message.who == Message::Who::kAssistant;
  if (!message.texts.empty()) {
    json::array parts;
    if (!message.image.empty()) parts.push_back(json::object{{"type", "input_image"}, {"image_url", message.image}});
    for (const std::string& text : message.texts)
      parts.push_back(json::object{{"type", answer ? "output_text" : "input_text"}, {"text", text}});
    out.push_back(json::object{{"role", answer ? "assistant" : "user"}, {"content", parts}});
  }
  for (const ToolCall& call : message.calls)
    out.push_back(json::object{
        {"type", "function_call"}, {"call_id", call.id}, {"name", call.name}, {"arguments", arguments(call)}});
  for (const auto& [id, text] : message.results)
    out.push_back(json::object{{"type", "function_call_output"}, {"call_id", id}, {"output", text}});
}

json::array tools_json(const Call& call, Dialect dialect) {
  json::array out;
  for (const Tool& tool : call.tools) {
    if (dialect == Dialect::kAnthropicMessages)
      out.push_back(
          json::object{{"name", tool.name}, {"description", tool.description}, {"input_schema", tool.schema}});
    else if (dialect == Dialect::kOpenAiChat)
      out.push_back(json::object{
          {"type", "function"},
          {"function",
           json::object{{"name", tool.name}, {"description", tool.description}, {"parameters", tool.schema}}}});
    else
      out.push_back(json::object{
          {"type", "function"}, {"name", tool.name}, {"description", tool.description}, {"parameters", tool.schema}});
  }
  return out;
}

void anthropic_body(const Call& call, json::object& body) {
  json::array system;
  for (size_t i = 0; i < call.system.size(); ++i) {
    json::object block{{"type", "text"}, {"text", call.system[i]}};
    if (call.mark_system.empty() ? i + 1 == call.system.size() : call.mark_system[i])
      block["cache_control"] = marker();
    system.push_back(block);
  }
  if (!system.empty()) body["system"] = system;
  json::array messages;
  for (const Message& message : call.messages)
    messages.push_back(anthropic_message(message, call.mark_last && &message == &call.messages.back()));
  body["messages"] = messages;
}

}  // namespace

std::string long_text(size_t bytes, std::mt19937& random) {
  std::string out;
  while (out.size() < bytes) {
    // One after the other: compilers differ in which of two operands they draw first.
    const std::string end = sentence(random, 6 + random() % 8);
    out += "- " + sentence(random, 8 + random() % 8) + " " + end + "\n";
  }
  return out;
}

Calls clean(Scene scene, Dialect dialect, std::mt19937& random) {
  Calls out = scene == Scene::kAgent  ? agent(dialect, random)
              : scene == Scene::kChat ? chat(dialect, random)
                                      : retrieval(dialect, random);
  // Reasoning goes back where the dialect takes it back.
  if (dialect == Dialect::kOpenAiChat)
    for (Call& call : out)
      for (Message& message : call.messages) message.thinking.clear();
  return out;
}

std::string render(const Call& call, Dialect dialect) {
  json::object body{{"model", call.model}};
  if (dialect == Dialect::kAnthropicMessages) body["max_tokens"] = 1024;
  if (!call.tools.empty()) body["tools"] = tools_json(call, dialect);
  if (dialect == Dialect::kAnthropicMessages) {
    anthropic_body(call, body);
  } else if (dialect == Dialect::kOpenAiChat) {
    json::array messages;
    for (const std::string& text : call.system)
      messages.push_back(json::object{{"role", "system"}, {"content", text}});
    for (const Message& message : call.messages) chat_messages(message, messages);
    body["messages"] = messages;
  } else {
    std::string system;
    for (const std::string& text : call.system) system += (system.empty() ? "" : "\n") + text;
    body["instructions"] = system;
    json::array input;
    for (const Message& message : call.messages) response_items(message, input);
    body["input"] = input;
  }
  for (const auto& [name, value] : call.extra) body[name] = value;
  return json::serialize(body);
}

std::vector<Finding> detect(const Calls& calls, Dialect dialect) {
  static const llm::PriceTable prices = llm::PriceTable::built_in();
  Detector detector(prices, {});
  for (const Call& call : calls) {
    auto request = llm::parse_request(dialect, base::Bytes(render(call, dialect)));
    PAYONCE_ASSERT(request.has_value());
    detector.observe(
        std::move(*request),
        {.unix_ms = call.unix_ms, .latency_ms = call.latency_ms, .session = call.session, .provider = call.provider});
  }
  return detector.findings();
}

}  // namespace payonce::prefix::corpus
