// The answers of the chat dialects: OpenAI's chat completions, Anthropic's messages and OpenAI's responses.
// Threads: as AnswerWriter.  Lifetime: template and vocabulary outlive the writers.
#pragma once

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/api/answer_writer.h"
#include "engine/api/ports.h"
#include "engine/model/chat_template.h"

namespace payonce::engine {

struct ChatAnswerOptions {
  const ChatTemplate& chat;
  const VocabPort& vocab;
  std::shared_ptr<const ChatSyntax> syntax;
  int32_t n = 1;
  bool logprobs = false;
  bool stream = false;
  bool include_usage = false;
};
std::unique_ptr<AnswerWriter> make_chat_answer(AnswerIdentity identity, ChatAnswerOptions options);

struct MessagesAnswerOptions {
  const ChatTemplate& chat;
  std::shared_ptr<const ChatSyntax> syntax;
  bool stream = false;
  bool show_thinking = false;
  std::vector<CacheMark> marks;
  std::vector<std::string> stop_sequences;  // the caller's
};
std::unique_ptr<AnswerWriter> make_messages_answer(AnswerIdentity identity, MessagesAnswerOptions options);

struct ResponsesAnswerOptions {
  const ChatTemplate& chat;
  std::shared_ptr<const ChatSyntax> syntax;
  bool stream = false;
  boost::json::object echo;  // what the response repeats of its request
};
std::unique_ptr<AnswerWriter> make_responses_answer(AnswerIdentity identity, ResponsesAnswerOptions options);

// OpenAI's usage object of chat and completions.
boost::json::object openai_usage(const EngineUsage& usage);

}  // namespace payonce::engine
