#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "base/utf8.h"
#include "engine/api/cache_control.h"
#include "engine/api/chat_answer.h"
#include "engine/api/errors.h"
#include "engine/api/message_stream.h"
#include "engine/api/token_text.h"
#include "llm/sse.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;
using Delta = MessageStream::Delta;

class MessagesAnswer final : public AnswerWriter {
 public:
  MessagesAnswer(AnswerIdentity identity, MessagesAnswerOptions options)
      : identity_(std::move(identity)),
        options_(std::move(options)),
        message_(options_.chat, options_.syntax, "toolu_") {}
  llm::Dialect dialect() const override { return llm::Dialect::kAnthropicMessages; }
  bool streams() const override { return options_.stream; }
  void started(const EngineUsage& usage) override { at_start_ = usage; }
  void piece(Piece piece, std::string& out) override;
  void flush(std::string& out) override;
  void finished(const Finished& finished, std::string& out) override;
  void done(const EngineUsage& usage, std::string& out) override;

 private:
  enum class Block : uint8_t { kNone, kThinking, kText, kTool };

  json::object usage_object(const EngineUsage& usage) const;
  json::object message_object(json::array content, json::object usage) const;
  void event(json::object data, std::string& out) const;
  void begin(std::string& out);
  void open(Block block, size_t call, std::string& out);
  void close(std::string& out);
  void delta(std::string_view type, std::string_view field, const std::string& text, std::string& out) const;
  void send_deltas(const std::vector<Delta>& deltas, std::string& out);
  json::array whole_content() const;

  const AnswerIdentity identity_;
  const MessagesAnswerOptions options_;
  MessageStream message_;
  EngineUsage at_start_;
  bool begun_ = false;
  bool changed_ = false;
  Block open_ = Block::kNone;
  size_t open_call_ = 0;
  int64_t index_ = -1;  // of the open block, or the last one
  std::string stop_reason_ = "end_turn";
  std::string stop_sequence_;
};

// input_tokens are those neither read from the cache nor written to it.
json::object MessagesAnswer::usage_object(const EngineUsage& usage) const {
  const int64_t fresh = int64_t{usage.prompt_tokens} - usage.cached_tokens - usage.written_tokens;
  const Written written = split_written(options_.marks, usage.written_tokens);
  return {{"input_tokens", std::max<int64_t>(fresh, 0)},
          {"cache_creation_input_tokens", usage.written_tokens},
          {"cache_read_input_tokens", usage.cached_tokens},
          {"cache_creation", json::object{{"ephemeral_5m_input_tokens", written.short_tokens},
                                          {"ephemeral_1h_input_tokens", written.long_tokens}}},
          {"output_tokens", usage.completion_tokens}};
}

json::object MessagesAnswer::message_object(json::array content, json::object usage) const {
  return {{"id", identity_.id},
          {"type", "message"},
          {"role", "assistant"},
          {"model", identity_.model},
          {"content", std::move(content)},
          {"stop_reason", nullptr},
          {"stop_sequence", nullptr},
          {"usage", std::move(usage)}};
}

void MessagesAnswer::event(json::object data, std::string& out) const {
  const std::string type(data.at("type").as_string());
  llm::append_event(out, type, json::serialize(data));
}

void MessagesAnswer::begin(std::string& out) {
  if (std::exchange(begun_, true)) return;
  event({{"type", "message_start"}, {"message", message_object({}, usage_object(at_start_))}}, out);
}

void MessagesAnswer::close(std::string& out) {
  if (std::exchange(open_, Block::kNone) == Block::kNone) return;
  event({{"type", "content_block_stop"}, {"index", index_}}, out);
}

void MessagesAnswer::open(Block block, size_t call, std::string& out) {
  if (open_ == block && open_call_ == call) return;
  close(out);
  json::object begun{{"type", "text"}, {"text", ""}};
  if (block == Block::kThinking) begun = {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}};
  if (block == Block::kTool) {
    const ToolCall& made = message_.message().tool_calls[call];
    begun = {{"type", "tool_use"}, {"id", made.id}, {"name", made.name}, {"input", json::object()}};
  }
  open_ = block;
  open_call_ = call;
  event({{"type", "content_block_start"}, {"index", ++index_}, {"content_block", std::move(begun)}}, out);
}

void MessagesAnswer::delta(std::string_view type, std::string_view field, const std::string& text,
                           std::string& out) const {
  event({{"type", "content_block_delta"}, {"index", index_}, {"delta", json::object{{"type", type}, {field, text}}}},
        out);
}

void MessagesAnswer::send_deltas(const std::vector<Delta>& deltas, std::string& out) {
  for (const Delta& one : deltas) {
    switch (one.kind) {
      case Delta::Kind::kReasoning:
        if (!options_.show_thinking) break;
        open(Block::kThinking, 0, out);
        delta("thinking_delta", "thinking", one.text, out);
        break;
      case Delta::Kind::kContent:
        open(Block::kText, 0, out);
        delta("text_delta", "text", one.text, out);
        break;
      case Delta::Kind::kCallBegins: open(Block::kTool, one.call, out); break;
      case Delta::Kind::kCallArguments:
        open(Block::kTool, one.call, out);
        delta("input_json_delta", "partial_json", one.text, out);
        break;
    }
  }
}

void MessagesAnswer::piece(Piece piece, std::string& out) {
  message_.add(base::with_replacements(piece.text));
  changed_ = true;
  if (streams()) begin(out);
}

void MessagesAnswer::flush(std::string& out) {
  if (streams() && std::exchange(changed_, false)) send_deltas(message_.take(), out);
}

void MessagesAnswer::finished(const Finished& finished, std::string& out) {
  const std::vector<Delta> deltas = message_.finish(finished.why);
  changed_ = false;
  const auto& stops = options_.stop_sequences;
  if (finished.why == Finish::kLength) {
    stop_reason_ = "max_tokens";
  } else if (!message_.message().tool_calls.empty()) {
    stop_reason_ = "tool_use";
  } else if (std::find(stops.begin(), stops.end(), finished.stop_string) != stops.end()) {
    stop_reason_ = "stop_sequence";
    stop_sequence_ = finished.stop_string;
  }
  if (!streams()) return;
  begin(out);
  send_deltas(deltas, out);
  close(out);
}

json::array MessagesAnswer::whole_content() const {
  const ChatMessage& said = message_.message();
  json::array content;
  if (options_.show_thinking && !said.reasoning.empty())
    content.push_back(json::object{{"type", "thinking"}, {"thinking", said.reasoning}, {"signature", ""}});
  if (!said.content.empty()) content.push_back(json::object{{"type", "text"}, {"text", said.content}});
  for (const ToolCall& call : said.tool_calls) {
    boost::system::error_code error;
    json::value input = json::parse(call.arguments, error);
    if (error || !input.is_object()) input = json::object();  // cut in the middle: stop_reason says max_tokens
    content.push_back(
        json::object{{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", std::move(input)}});
  }
  return content;
}

void MessagesAnswer::done(const EngineUsage& usage, std::string& out) {
  const json::value sequence = stop_sequence_.empty() ? json::value(nullptr) : json::value(stop_sequence_);
  if (!streams()) {
    json::object whole = message_object(whole_content(), usage_object(usage));
    whole["stop_reason"] = stop_reason_;
    whole["stop_sequence"] = sequence;
    out += json::serialize(whole);
    return;
  }
  event({{"type", "message_delta"},
         {"delta", json::object{{"stop_reason", stop_reason_}, {"stop_sequence", sequence}}},
         {"usage", usage_object(usage)}},
        out);
  event({{"type", "message_stop"}}, out);
}

}  // namespace

std::unique_ptr<AnswerWriter> make_messages_answer(AnswerIdentity identity, MessagesAnswerOptions options) {
  return std::make_unique<MessagesAnswer>(std::move(identity), std::move(options));
}

}  // namespace payonce::engine
