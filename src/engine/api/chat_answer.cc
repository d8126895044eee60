#include "engine/api/chat_answer.h"

#include <boost/json.hpp>
#include <string_view>
#include <utility>

#include "base/utf8.h"
#include "engine/api/errors.h"
#include "engine/api/message_stream.h"
#include "engine/api/token_text.h"
#include "llm/sse.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;
using Delta = MessageStream::Delta;

struct ChatChoice {
  MessageStream message;
  json::array logprobs;  // whole: all of them; streams: those not sent yet
  bool begun = false;    // the chunk with the role was sent
  bool changed = false;  // text came since the last flush
  std::string finish_reason;
};

class ChatAnswer final : public AnswerWriter {
 public:
  ChatAnswer(AnswerIdentity identity, ChatAnswerOptions options)
      : identity_(std::move(identity)), options_(std::move(options)) {
    for (int32_t i = 0; i < options_.n; ++i)
      choices_.push_back({.message = MessageStream(options_.chat, options_.syntax, "call_")});
  }
  llm::Dialect dialect() const override { return llm::Dialect::kOpenAiChat; }
  bool streams() const override { return options_.stream; }
  void piece(Piece piece, std::string& out) override;
  void flush(std::string& out) override;
  void finished(const Finished& finished, std::string& out) override;
  void done(const EngineUsage& usage, std::string& out) override;

 private:
  json::object top(std::string_view object) const;
  void begin(size_t index, std::string& out);
  void send(size_t index, json::object delta, json::value finish_reason, std::string& out);
  void send_deltas(size_t index, const std::vector<Delta>& deltas, std::string& out);
  json::object whole_choice(size_t index);

  const AnswerIdentity identity_;
  const ChatAnswerOptions options_;
  std::vector<ChatChoice> choices_;
};

json::object ChatAnswer::top(std::string_view object) const {
  return {{"id", identity_.id},
          {"object", object},
          {"created", identity_.created_s},
          {"model", identity_.model},
          {"system_fingerprint", identity_.fingerprint}};
}

void ChatAnswer::send(size_t index, json::object delta, json::value finish_reason, std::string& out) {
  json::value logprobs = nullptr;
  if (options_.logprobs && !choices_[index].logprobs.empty())
    logprobs = json::object{{"content", std::exchange(choices_[index].logprobs, {})}, {"refusal", nullptr}};
  json::object chunk = top("chat.completion.chunk");
  chunk["choices"] = json::array{json::object{{"index", index},
                                              {"delta", std::move(delta)},
                                              {"logprobs", std::move(logprobs)},
                                              {"finish_reason", std::move(finish_reason)}}};
  if (options_.include_usage) chunk["usage"] = nullptr;
  llm::append_event(out, "", json::serialize(chunk));
}

// The chunk with the role; logprobs of tokens that showed nothing yet wait for the next one.
void ChatAnswer::begin(size_t index, std::string& out) {
  if (choices_[index].begun) return;
  choices_[index].begun = true;
  json::array waiting = std::exchange(choices_[index].logprobs, {});
  send(index, {{"role", "assistant"}, {"content", ""}}, nullptr, out);
  choices_[index].logprobs = std::move(waiting);
}

void ChatAnswer::send_deltas(size_t index, const std::vector<Delta>& deltas, std::string& out) {
  const std::vector<ToolCall>& calls = choices_[index].message.message().tool_calls;
  for (const Delta& delta : deltas) {
    json::object fields;
    switch (delta.kind) {
      case Delta::Kind::kReasoning: fields["reasoning_content"] = delta.text; break;
      case Delta::Kind::kContent: fields["content"] = delta.text; break;
      case Delta::Kind::kCallBegins:
        fields["tool_calls"] = json::array{
            json::object{{"index", delta.call},
                         {"id", calls[delta.call].id},
                         {"type", "function"},
                         {"function", json::object{{"name", calls[delta.call].name}, {"arguments", ""}}}}};
        break;
      case Delta::Kind::kCallArguments:
        fields["tool_calls"] =
            json::array{json::object{{"index", delta.call}, {"function", json::object{{"arguments", delta.text}}}}};
        break;
    }
    send(index, std::move(fields), nullptr, out);
  }
}

void ChatAnswer::piece(Piece piece, std::string& out) {
  const auto index = static_cast<size_t>(piece.choice);
  ChatChoice& choice = choices_[index];
  choice.message.add(base::with_replacements(piece.text));
  choice.changed = true;
  if (options_.logprobs)
    for (json::value& token : chat_logprobs(options_.vocab, piece)) choice.logprobs.push_back(std::move(token));
  if (streams()) begin(index, out);
}

void ChatAnswer::flush(std::string& out) {
  if (!streams()) return;
  for (size_t i = 0; i < choices_.size(); ++i)
    if (std::exchange(choices_[i].changed, false)) send_deltas(i, choices_[i].message.take(), out);
}

void ChatAnswer::finished(const Finished& finished, std::string& out) {
  const auto index = static_cast<size_t>(finished.choice);
  ChatChoice& choice = choices_[index];
  const std::vector<Delta> deltas = choice.message.finish(finished.why);
  choice.changed = false;
  const bool called = !choice.message.message().tool_calls.empty();
  choice.finish_reason = finished.why == Finish::kLength ? "length" : called ? "tool_calls" : "stop";
  if (!streams()) return;
  begin(index, out);
  send_deltas(index, deltas, out);
  send(index, json::object(), json::value(choice.finish_reason), out);
}

json::object ChatAnswer::whole_choice(size_t index) {
  ChatChoice& choice = choices_[index];
  const ChatMessage& said = choice.message.message();
  json::object message{{"role", "assistant"}, {"content", said.content}, {"refusal", nullptr}};
  if (!said.reasoning.empty()) message["reasoning_content"] = said.reasoning;
  if (!said.tool_calls.empty()) {
    if (said.content.empty()) message["content"] = nullptr;
    json::array calls;
    for (const ToolCall& call : said.tool_calls)
      calls.push_back(json::object{{"id", call.id},
                                   {"type", "function"},
                                   {"function", json::object{{"name", call.name}, {"arguments", call.arguments}}}});
    message["tool_calls"] = std::move(calls);
  }
  json::value logprobs = nullptr;
  if (options_.logprobs) logprobs = json::object{{"content", std::move(choice.logprobs)}, {"refusal", nullptr}};
  return {{"index", index},
          {"message", std::move(message)},
          {"logprobs", std::move(logprobs)},
          {"finish_reason", choice.finish_reason}};
}

void ChatAnswer::done(const EngineUsage& usage, std::string& out) {
  if (streams()) {
    if (options_.include_usage) {
      json::object chunk = top("chat.completion.chunk");
      chunk["choices"] = json::array();
      chunk["usage"] = openai_usage(usage);
      llm::append_event(out, "", json::serialize(chunk));
    }
    return llm::append_event(out, "", "[DONE]");
  }
  json::object whole = top("chat.completion");
  json::array choices;
  for (size_t i = 0; i < choices_.size(); ++i) choices.push_back(whole_choice(i));
  whole["choices"] = std::move(choices);
  whole["usage"] = openai_usage(usage);
  out += json::serialize(whole);
}

}  // namespace

json::object openai_usage(const EngineUsage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", int64_t{usage.prompt_tokens} + usage.completion_tokens},
          {"prompt_tokens_details",
           json::object{{"cached_tokens", usage.cached_tokens}, {"cache_write_tokens", usage.written_tokens}}}};
}

std::unique_ptr<AnswerWriter> make_chat_answer(AnswerIdentity identity, ChatAnswerOptions options) {
  return std::make_unique<ChatAnswer>(std::move(identity), std::move(options));
}

}  // namespace payonce::engine
