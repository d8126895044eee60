// The message of one choice as its text grows: text in, out come what is new of its content, reasoning and tool
// calls. What has been given out is never taken back: where the template's parser changes its mind, only what
// continues the given part is given. Threads: one at a time.  Lifetime: the template outlives it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/model/chat_template.h"
#include "engine/request.h"

namespace payonce::engine {

class MessageStream {
 public:
  // Ids of tool calls are made here, `call_prefix` and random digits.
  MessageStream(const ChatTemplate& chat, std::shared_ptr<const ChatSyntax> syntax, std::string_view call_prefix)
      : chat_(&chat), syntax_(std::move(syntax)), call_prefix_(call_prefix) {}

  struct Delta {
    enum class Kind : uint8_t { kReasoning, kContent, kCallBegins, kCallArguments } kind;
    size_t call = 0;   // of kCallBegins, kCallArguments
    std::string text;  // empty with kCallBegins
  };
  void add(std::string_view text) { text_ += text; }
  // What is new since the last time.
  std::vector<Delta> take();
  // The same after the last text. `why` kLength: a tool call may be cut in the middle, and stays one.
  std::vector<Delta> finish(Finish why);
  // What was given out so far.
  const ChatMessage& message() const { return given_; }

 private:
  std::vector<Delta> advance(ChatMessage next);

  const ChatTemplate* chat_;
  std::shared_ptr<const ChatSyntax> syntax_;
  std::string call_prefix_;
  std::string text_;
  size_t parsed_bytes_ = 0;
  ChatMessage given_;
};

}  // namespace payonce::engine
