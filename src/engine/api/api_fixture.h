// For tests only: an Api over a scripted engine, a vocabulary of bytes and a ChatML template that writes and reads
// tool calls as <tool_call>{"name": …, "arguments": …}</tool_call>. Nothing runs by itself: the test says what the
// engine does.
#pragma once

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/api/api.h"
#include "llm/sse.h"

namespace payonce::engine {

namespace json = boost::json;

inline constexpr int32_t kStartToken = 256, kEndToken = 257, kBosToken = 258;

struct ScriptedEngine {
  struct Request {
    Generate asked;
    std::shared_ptr<Sink> sink;
  };
  std::vector<Request> requests;  // their ids are their places + 1
  std::vector<RequestId> cancelled;
  std::vector<base::Error> refusals;  // for the next submits, in order; then all are taken
  EnginePort port();

  void start(size_t request, EngineUsage usage);
  void say(size_t request, std::string text, int32_t choice = 0);
  void end(size_t request, Finish why = Finish::kStop, std::string stop_string = "", int32_t choice = 0);
  void done(size_t request, EngineUsage usage);
  // The whole of a short answer.
  void answer(size_t request, const std::string& text, Finish why = Finish::kStop);
};

VocabPort byte_vocab(bool with_bos);
std::vector<int32_t> byte_tokens(std::string_view text);  // as byte_vocab(false) has them

class FakeChat final : public ChatTemplate {
 public:
  base::Result<RenderedChat> render(const Input& input) const override;
  ChatMessage parse(const std::string& text, const ChatSyntax* syntax, bool partial) const override;
  mutable std::vector<Input> inputs;  // of all renderings
};

// What came back for one request.
struct Received final : net::ResponseSink {
  void on_head(net::ResponseHead got) override { head = std::move(got), ++heads; }
  void on_data(base::Bytes chunk) override { chunks.emplace_back(chunk.view()); }
  void on_end() override { ++ends; }
  void on_error(base::Error, bool) override { ++errors; }

  net::ResponseHead head;
  std::vector<std::string> chunks;
  int heads = 0, ends = 0, errors = 0;

  std::string body() const;
  json::object object() const;                   // the body
  std::vector<json::object> events() const;      // data of a stream, without [DONE]
  std::vector<std::string> event_names() const;  // `event:` of each, or "data"
  std::string header(std::string_view name) const { return std::string(head.headers.get(name).value_or("")); }
};

class ApiTest : public testing::Test {
 protected:
  void make(bool with_bos = false);
  // Sends the request and runs all that can run.
  std::shared_ptr<Received> send(std::string path, std::string body, std::string method = "POST",
                                 net::Headers headers = {});
  std::shared_ptr<Received> post(std::string path, const json::value& body) {
    return send(std::move(path), json::serialize(body));
  }
  void run();
  // An answer whose every byte is a piece of its own.
  void answer_byte_by_byte(const std::string& text);
  // The message of an error answer, after checking its status.
  std::string refusal(const std::string& path, const std::string& body, int status = 400);
  const Generate& asked(size_t request = 0) const { return engine.requests.at(request).asked; }

  ScriptedEngine engine;
  FakeChat chat;
  ModelInfo model;
  base::FakeClock clock;
  ApiLimits limits;
  int32_t context_tokens = 4096;
  std::unique_ptr<base::WorkerPool> pool = std::make_unique<base::WorkerPool>(base::WorkerPool::Options{});
  net::EventLoop loop;
  std::unique_ptr<Api> api;
  std::shared_ptr<net::Call> last_call;
};

// `text` as a JSON value.
inline json::value J(std::string_view text) { return json::parse(text); }
// `body` with another field.
std::string with(std::string body, std::string_view name, std::string_view value);

inline constexpr std::string_view kChatBody = R"({"model":"m","messages":[{"role":"user","content":"Hi"}]})";
inline constexpr std::string_view kMessagesBody =
    R"({"model":"m","max_tokens":64,"messages":[{"role":"user","content":"Hi"}]})";
inline constexpr std::string_view kWeatherTool =
    R"({"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}})";

}  // namespace payonce::engine
