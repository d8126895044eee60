#include "engine/api/api_fixture.h"

#include <algorithm>

namespace payonce::engine {
namespace {

constexpr std::string_view kCallBegin = "<tool_call>", kCallEnd = "</tool_call>";

// How much of the end of `text` could be the beginning of `mark`.
size_t held_back(std::string_view text, std::string_view mark) {
  for (size_t size = std::min(text.size(), mark.size() - 1); size > 0; --size)
    if (text.substr(text.size() - size) == mark.substr(0, size)) return size;
  return 0;
}

// {"name": "f", "arguments": A}: as far as it is there.
ToolCall call_of(std::string_view text, bool whole) {
  ToolCall out;
  const size_t name = text.find(R"("name": ")");
  if (name == std::string_view::npos) return out;
  const size_t name_end = text.find('"', name + 9);
  if (name_end == std::string_view::npos) return out;
  out.name = text.substr(name + 9, name_end - name - 9);
  const size_t arguments = text.find(R"("arguments": )");
  if (arguments == std::string_view::npos) return out;
  out.arguments = text.substr(arguments + 13);
  if (whole && out.arguments.ends_with('}')) out.arguments.pop_back();
  return out;
}

}  // namespace

EnginePort ScriptedEngine::port() {
  return {.submit = [this](Generate asked, std::shared_ptr<Sink> sink) -> base::Result<RequestId> {
            if (!refusals.empty()) {
              base::Error error = refusals.front();
              refusals.erase(refusals.begin());
              return base::fail(error);
            }
            requests.push_back({std::move(asked), std::move(sink)});
            return requests.size();
          },
          .cancel = [this](RequestId id) { cancelled.push_back(id); }};
}

void ScriptedEngine::say(size_t request, std::string text, int32_t choice) {
  std::vector<int32_t> tokens = byte_tokens(text);
  requests.at(request).sink->piece({.choice = choice, .text = std::move(text), .tokens = std::move(tokens)});
}

void ScriptedEngine::end(size_t request, Finish why, std::string stop_string, int32_t choice) {
  requests.at(request).sink->finished({.choice = choice, .why = why, .stop_string = std::move(stop_string)});
}

void ScriptedEngine::start(size_t request, EngineUsage usage) { requests.at(request).sink->started(usage); }

void ScriptedEngine::done(size_t request, EngineUsage usage) { requests.at(request).sink->done(usage); }

void ScriptedEngine::answer(size_t request, const std::string& text, Finish why) {
  say(request, text);
  end(request, why);
  done(request, {.prompt_tokens = static_cast<int32_t>(requests.at(request).asked.prompt.size()),
                 .completion_tokens = static_cast<int32_t>(text.size())});
}

std::vector<int32_t> byte_tokens(std::string_view text) {
  constexpr std::string_view kStart = "<|im_start|>", kEnd = "<|im_end|>";
  std::vector<int32_t> out;
  while (!text.empty()) {
    const bool start = text.starts_with(kStart), end = text.starts_with(kEnd);
    out.push_back(start ? kStartToken : end ? kEndToken : static_cast<unsigned char>(text[0]));
    text.remove_prefix(start ? kStart.size() : end ? kEnd.size() : 1);
  }
  return out;
}

VocabPort byte_vocab(bool with_bos) {
  return {.tokenize = [with_bos](std::string_view text) -> base::Result<std::vector<int32_t>> {
            std::vector<int32_t> out = byte_tokens(text);
            if (with_bos) out.insert(out.begin(), kBosToken);
            return out;
          },
          .piece = [](int32_t token, bool special) -> std::string {
            if (token < 256) return std::string(1, static_cast<char>(token));
            return !special ? "" : token == kStartToken ? "<|im_start|>" : token == kEndToken ? "<|im_end|>" : "<s>";
          },
          .size = 259,
          .bos = with_bos ? kBosToken : -1};
}

base::Result<RenderedChat> FakeChat::render(const Input& input) const {
  inputs.push_back(input);
  const json::array messages = json::parse(input.messages_json).as_array();
  if (messages.empty()) return base::fail(base::Code::kInvalid, "no messages");
  RenderedChat out;
  std::string system;
  if (messages[0].at("role") == "system") system = messages[0].at("content").as_string();
  if (!input.tools_json.empty()) system += "\n# Tools " + input.tools_json;
  if (!system.empty()) out.prompt = "<|im_start|>system\n" + system + "<|im_end|>\n";
  for (const json::value& message : messages) {
    const std::string role(message.at("role").as_string());
    if (role == "system" && &message == &messages[0]) continue;
    out.prompt += "<|im_start|>" + role + "\n" + std::string(message.at("content").as_string());
    if (const json::value* calls = message.as_object().if_contains("tool_calls"))
      for (const json::value& call : calls->as_array()) out.prompt += json::serialize(call.at("function"));
    out.prompt += "<|im_end|>\n";
  }
  if (input.add_generation_prompt) out.prompt += "<|im_start|>assistant\n";
  out.grammar = !input.json_schema.empty() ? "schema:" + input.json_schema : input.grammar;
  if (input.tool_choice == "required") out.grammar = "call:" + input.tools_json;
  static const int kSyntax = 0;
  if (!input.tools_json.empty() && input.tool_choice != "none")
    out.syntax =
        std::shared_ptr<const ChatSyntax>(std::shared_ptr<void>(), reinterpret_cast<const ChatSyntax*>(&kSyntax));
  out.stops = {"<|template_stop|>"};
  return out;
}

ChatMessage FakeChat::parse(const std::string& text, const ChatSyntax* syntax, bool partial) const {
  ChatMessage out;
  std::string_view rest = text;
  if (rest.starts_with("<think>")) {
    const size_t end = rest.find("</think>");
    out.reasoning = rest.substr(7, end == std::string_view::npos ? end : end - 7);
    rest = end == std::string_view::npos ? "" : rest.substr(end + 8);
  }
  if (syntax == nullptr) {
    out.content = rest;
    return out;
  }
  const size_t first = rest.find(kCallBegin);
  out.content = rest.substr(0, first);
  if (first == std::string_view::npos) {
    if (partial) out.content.resize(out.content.size() - held_back(rest, kCallBegin));
    return out;
  }
  rest.remove_prefix(first);
  while (rest.starts_with(kCallBegin)) {
    rest.remove_prefix(kCallBegin.size());
    const size_t end = rest.find(kCallEnd);
    const bool whole = end != std::string_view::npos;
    if (!whole && !partial) return {.content = text};
    std::string_view inner = rest.substr(0, end);
    if (!whole) inner.remove_suffix(std::min(inner.size(), held_back(inner, kCallEnd) + 1));
    if (ToolCall call = call_of(inner, whole); !call.name.empty()) out.tool_calls.push_back(std::move(call));
    rest.remove_prefix(whole ? end + kCallEnd.size() : rest.size());
  }
  return out;
}

std::string Received::body() const {
  std::string out;
  for (const std::string& chunk : chunks) out += chunk;
  return out;
}

json::object Received::object() const { return json::parse(body()).as_object(); }

std::vector<json::object> Received::events() const {
  const std::string all = body();
  std::string_view rest = all;
  std::vector<json::object> out;
  llm::SseEvent event;
  while (llm::next_event(rest, event))
    if (event.data != "[DONE]") out.push_back(json::parse(event.data).as_object());
  EXPECT_TRUE(rest.empty()) << rest;
  return out;
}

std::vector<std::string> Received::event_names() const {
  const std::string all = body();
  std::string_view rest = all;
  std::vector<std::string> out;
  llm::SseEvent event;
  while (llm::next_event(rest, event)) out.emplace_back(event.name.empty() ? "data" : event.name);
  return out;
}

void ApiTest::make(bool with_bos) {
  model.name = "Tiny Model";
  model.digest = "0123456789abcdef";
  api = std::make_unique<Api>(Api::Parts{.engine = engine.port(),
                                         .vocab = byte_vocab(with_bos),
                                         .chat = chat,
                                         .model = model,
                                         .pool = *pool,
                                         .clock = clock},
                              limits, context_tokens);
}

std::shared_ptr<Received> ApiTest::send(std::string path, std::string body, std::string method,
                                        net::Headers headers) {
  if (!api) make();
  auto received = std::make_shared<Received>();
  net::RequestHead head{.method = std::move(method), .target = std::move(path), .authority = "", .headers = headers};
  last_call = api->serve(std::move(head), base::Bytes(std::move(body)), "tenant", loop, received);
  EXPECT_EQ(received->heads, 0) << "an answer before serve() returned";
  run();
  return received;
}

void ApiTest::answer_byte_by_byte(const std::string& text) {
  for (const char c : text) {
    engine.say(0, std::string(1, c));
    run();
  }
  engine.end(0);
  engine.done(0, {});
  run();
}

void ApiTest::run() {
  pool->drain();
  loop.context().poll();
}

std::string ApiTest::refusal(const std::string& path, const std::string& body, int status) {
  const size_t before = engine.requests.size();
  const auto received = send(path, body);
  EXPECT_EQ(received->head.status, status) << received->body();
  EXPECT_EQ(received->ends, 1);
  EXPECT_EQ(engine.requests.size(), before) << "it reached the engine";
  const json::object answer = received->object();
  return std::string(answer.at("error").at("message").as_string());
}

std::string with(std::string body, std::string_view name, std::string_view value) {
  json::object object = json::parse(body).as_object();
  object[name] = json::parse(value);
  return json::serialize(object);
}

}  // namespace payonce::engine
