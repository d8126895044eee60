// A conversation in the form that all chat dialects are read into, and its way to the model's prompt.
// Threads: pure functions and values.  Errors: as errors.h has them.
#pragma once

#include <boost/json/array.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/api/json_fields.h"
#include "engine/api/requests.h"
#include "engine/model/chat_template.h"
#include "engine/request.h"

namespace payonce::engine {

struct Turn {
  std::string role;                // system, user, assistant, tool
  std::vector<std::string> parts;  // of text; joined by a line break
  std::string reasoning;           // of an assistant
  boost::json::array tool_calls;   // OpenAI form
  std::string tool_call_id;        // whose result this is
  std::string name;
};

// A cache_control mark: it stands after so much of the conversation.
struct Cut {
  size_t tools = 0;  // after so many tools, when turns is 0
  size_t turns = 0;  // after so many turns, of the last of which so many parts and calls count
  size_t parts = 0;
  size_t tool_calls = 0;
  int64_t ttl_s = 0;
  bool operator==(const Cut&) const = default;
};

struct Conversation {
  std::vector<Turn> turns;
  boost::json::array tools;           // OpenAI form: {"type":"function","function":{…}}
  std::string tool_choice = "auto";   // auto, none, required
  std::vector<std::string> callable;  // the tools that may be called; empty: all
  bool parallel_tool_calls = true;
  std::string json_schema, grammar;  // at most one of them
  bool enable_thinking = true;
  bool continue_last = false;  // the answer goes on where the last turn, an assistant's, ends
  bool add_generation_prompt = true;
  std::vector<std::pair<std::string, std::string>> kwargs;  // chat_template_kwargs
  std::vector<Cut> cuts;

  // Remembers a mark after all that was read so far. In `turns`, the last part or call is the marked one.
  void mark_here(int64_t ttl_s);
  void mark_tools(int64_t ttl_s) { cuts.push_back({.tools = tools.size(), .ttl_s = ttl_s}); }
};

struct Prompt {
  std::vector<int32_t> tokens;
  std::vector<CacheMark> marks;  // ascending
  std::vector<int32_t> shown_tokens;
  Grammar::Source grammar;
  std::vector<std::string> stops;
  std::shared_ptr<const ChatSyntax> syntax;
};

// kInvalid: the template refuses the conversation, tool_choice names a tool that is not there.
base::Result<Prompt> render(const RequestContext& context, const Conversation& conversation);

// Checks the conversation's marks, renders it into `out`, whose stopping already holds the caller's own, and checks
// that it fits the context. How the model's answer is to be read.
base::Result<std::shared_ptr<const ChatSyntax>> set_prompt(const RequestContext& context,
                                                           const Conversation& conversation, llm::Dialect dialect,
                                                           Generate& out);

// The list "messages", each an object that `read` reads; the first refusal ends it.
void read_each_message(Fields& fields, const std::function<void(Fields& message)>& read);

}  // namespace payonce::engine
