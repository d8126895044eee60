// A provider that answers at once: OpenAI chat completions (whole and streamed) and Anthropic messages, complete by
// their dialects, so that a gateway finds nothing to object to and stores them. Streamed events are sent one by one,
// as providers do, round robin over the streams.
//
//   mock_upstream --port N [--delay-ms N] [--events N] [--event-delay-us N]
//
// GET /count tells the requests seen so far; GET /set?delay-ms=N&events=N&event-delay-us=N changes the options.
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>

#include "epoll_http.h"

namespace payonce::bench {
namespace {

constexpr std::string_view kText =
    "Caching pays when the same question comes again. The second answer is the first one, so it costs nothing.";
constexpr size_t kEventBytes = 200;

struct Settings {
  int64_t delay_ms = 0;
  int64_t events = 10;  // content events of a stream; the role, finish and [DONE] events come on top
  int64_t event_delay_us = 0;
};

std::string whole_answer(std::string_view type, std::string_view json) {
  return "HTTP/1.1 200 OK\r\nContent-Type: " + std::string(type) +
         "\r\nContent-Length: " + std::to_string(json.size()) + "\r\n\r\n" + std::string(json);
}

std::string chunk(std::string_view data) {
  char size[20];
  const int length = std::snprintf(size, sizeof size, "%zx\r\n", data.size());
  return std::string(size, static_cast<size_t>(length)) + std::string(data) + "\r\n";
}

std::string chat_answer() {
  return whole_answer("application/json",
                      R"({"id":"chatcmpl-bench000000000000000001","object":"chat.completion","created":1700000000,)"
                      R"("model":"gpt-4o-mini","choices":[{"index":0,"message":{"role":"assistant","content":")" +
                          std::string(kText) +
                          R"("},"logprobs":null,"finish_reason":"stop"}],)"
                          R"("usage":{"prompt_tokens":60,"completion_tokens":24,"total_tokens":84},)"
                          R"("system_fingerprint":"fp_bench"})");
}

std::string message_answer() {
  return whole_answer("application/json",
                      R"({"id":"msg_bench000000000000000001","type":"message","role":"assistant",)"
                      R"("model":"claude-sonnet-4","content":[{"type":"text","text":")" +
                          std::string(kText) +
                          R"("}],"stop_reason":"end_turn","stop_sequence":null,)"
                          R"("usage":{"input_tokens":60,"output_tokens":24}})");
}

// The events of one stream, each already a chunk: the loop only sends them.
struct StreamScript {
  std::string opening;  // response head and first event
  std::string content;  // repeated
  std::string closing;  // finish, usage, end marker, last chunk
};

constexpr std::string_view kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    "Transfer-Encoding: chunked\r\n\r\n";

std::string chat_event(std::string_view delta, std::string_view finish, std::string_view usage) {
  return R"(data: {"id":"chatcmpl-bench000000000000000001","object":"chat.completion.chunk","created":1700000000,)"
         R"("model":"gpt-4o-mini","choices":[{"index":0,"delta":)" +
         std::string(delta) + R"(,"finish_reason":)" + std::string(finish) + "}]" + std::string(usage) + "}\n\n";
}

StreamScript chat_stream() {
  std::string words = " word";
  std::string content;
  while (content.size() < kEventBytes) {  // the event grows to its size by its text
    words += 's';
    content = chat_event(R"({"content":")" + words + R"("})", "null", "");
  }
  return {std::string(kStreamHead) + chunk(chat_event(R"({"role":"assistant","content":""})", "null", "")),
          chunk(content),
          chunk(chat_event("{}", R"("stop")",
                           R"(,"usage":{"prompt_tokens":60,"completion_tokens":24,"total_tokens":84})")) +
              chunk("data: [DONE]\n\n") + "0\r\n\r\n"};
}

std::string message_event(std::string_view type, std::string_view rest) {
  return "event: " + std::string(type) + "\ndata: {\"type\":\"" + std::string(type) + "\"" + std::string(rest) +
         "}\n\n";
}

StreamScript message_stream() {
  return {
      std::string(kStreamHead) +
          chunk(message_event("message_start", R"(,"message":{"id":"msg_bench000000000000000001","type":"message",)"
                                               R"("role":"assistant","model":"claude-sonnet-4","content":[],)"
                                               R"("stop_reason":null,"stop_sequence":null,)"
                                               R"("usage":{"input_tokens":60,"output_tokens":1}})")) +
          chunk(message_event("content_block_start", R"(,"index":0,"content_block":{"type":"text","text":""})")),
      chunk(message_event("content_block_delta", R"(,"index":0,"delta":{"type":"text_delta","text":")" +
                                                     std::string(kText.substr(0, 90)) + R"("})")),
      chunk(message_event("content_block_stop", R"(,"index":0)")) +
          chunk(message_event("message_delta", R"(,"delta":{"stop_reason":"end_turn","stop_sequence":null},)"
                                               R"("usage":{"output_tokens":24})")) +
          chunk(message_event("message_stop", "")) + "0\r\n\r\n"};
}

bool asks_for_stream(std::string_view body) {
  size_t at = body.rfind("\"stream\"");
  if (at == std::string_view::npos) return false;
  at = body.find_first_not_of(" :\t\n", at + 8);
  return at != std::string_view::npos && body.substr(at, 4) == "true";
}

class Mock {
 public:
  Mock(uint16_t port, const Settings& settings)
      : settings_(settings), server_(port, [this](auto id, const auto& request) { answer(id, request); }) {}
  void run() { server_.run(); }

 private:
  using Id = EpollHttp::ConnectionId;
  using Part = EpollHttp::Part;

  struct Running {
    Id id;
    const StreamScript* script;
    int64_t left;
    std::chrono::microseconds pause;
  };

  void answer(Id id, const HttpRequest& request) {
    if (request.target == "/count") {
      return server_.send(id, whole_answer("application/json", "{\"requests\":" + std::to_string(seen_) + "}"),
                          Part::kLast);
    }
    if (request.target.starts_with("/set?")) {
      change_settings(request.target);
      return server_.send(id, whole_answer("application/json", "{}"), Part::kLast);
    }
    const bool chat = request.target.starts_with("/v1/chat/completions");
    if (request.method != "POST" || (!chat && !request.target.starts_with("/v1/messages"))) {
      return server_.send(id, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", Part::kLast);
    }
    ++seen_;
    const bool stream = asks_for_stream(request.body);
    auto reply = [this, id, chat, stream] {
      if (stream) return start_stream(id, chat ? chat_stream_ : message_stream_);
      server_.send(id, chat ? chat_answer_ : message_answer_, Part::kLast);
    };
    if (settings_.delay_ms == 0) return reply();
    server_.after(std::chrono::milliseconds(settings_.delay_ms), reply);
  }

  void start_stream(Id id, const StreamScript& script) {
    server_.send(id, script.opening, Part::kMore);
    next_event({id, &script, settings_.events, std::chrono::microseconds(settings_.event_delay_us)});
  }

  void next_event(Running stream) {
    // A reader that is behind is asked again after a while: spinning would take the load generator's core.
    const auto pause = server_.can_send(stream.id) ? stream.pause : std::chrono::milliseconds(1);
    server_.after(pause, [this, stream]() mutable {
      if (!server_.is_open(stream.id)) return;
      if (stream.left == 0) return server_.send(stream.id, stream.script->closing, Part::kLast);
      if (server_.can_send(stream.id)) {
        server_.send(stream.id, stream.script->content, Part::kMore);
        --stream.left;
      }
      next_event(stream);
    });
  }

  void change_settings(std::string_view target) {
    auto set = [target](std::string_view name, int64_t* value) {
      const size_t at = target.find(std::string(name) + "=");
      if (at != std::string_view::npos) {
        std::from_chars(target.data() + at + name.size() + 1, target.data() + target.size(), *value);
      }
    };
    set("delay-ms", &settings_.delay_ms);
    set("events", &settings_.events);
    set("event-delay-us", &settings_.event_delay_us);
  }

  Settings settings_;
  const std::string chat_answer_ = bench::chat_answer();
  const std::string message_answer_ = bench::message_answer();
  const StreamScript chat_stream_ = chat_stream();
  const StreamScript message_stream_ = message_stream();
  uint64_t seen_ = 0;
  EpollHttp server_;
};

}  // namespace
}  // namespace payonce::bench

int main(int argc, char** argv) {
  using namespace payonce::bench;
  const int64_t port = integer_option(argc, argv, "--port", 0);
  if (port < 1 || port > 65535) die("usage: mock_upstream --port N [--delay-ms N] [--events N] [--event-delay-us N]");
  Settings settings;
  settings.delay_ms = integer_option(argc, argv, "--delay-ms", settings.delay_ms);
  settings.events = integer_option(argc, argv, "--events", settings.events);
  settings.event_delay_us = integer_option(argc, argv, "--event-delay-us", settings.event_delay_us);
  Mock(static_cast<uint16_t>(port), settings).run();
}
