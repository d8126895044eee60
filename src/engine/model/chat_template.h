// From messages to the model's prompt and from its text back to a message: llama.cpp's template engine and tool-call
// parsers, wrapped in this one place.  Threads: all methods any.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/model/vocab.h"

namespace payonce::engine {

// How tool calls and grammar are written by this model for this request; opaque.
struct ChatSyntax;

struct RenderedChat {
  std::string prompt;         // special tokens spelled out: tokenize with parse_special
  std::string grammar;        // GBNF; empty: free text. This and the next three go into Grammar::Source as they are.
  bool grammar_lazy = false;  // the grammar holds only after one of the triggers appeared
  // ECMAScript regular expressions, searched for in all text of the answer so far (one in ^…$ must match all of it);
  // the grammar then reads from the first non-empty capture group on, or from the match. Plain words come escaped.
  std::vector<std::string> grammar_triggers;
  std::string grammar_prefill;  // the end of the prompt, which the grammar's text begins with
  // Control tokens that parse() needs to see: their text belongs into the answer's text though `piece()` hides it.
  std::vector<int32_t> shown_tokens;
  std::vector<std::string> stops;
  std::shared_ptr<const ChatSyntax> syntax;
};

struct ToolCall {
  std::string id, name, arguments;  // arguments: JSON text; id: empty when the model writes none
};
struct ChatMessage {
  std::string content, reasoning;
  std::vector<ToolCall> tool_calls;
};

class ChatTemplate {
 public:
  // `override_source`: a Jinja template instead of the model's own; empty: the model's; a model without one (a base
  // model) gets ChatML.
  static base::Result<std::unique_ptr<ChatTemplate>> make(const Vocab& vocab, const std::string& override_source);
  virtual ~ChatTemplate() = default;

  struct Input {
    std::string messages_json;         // OpenAI chat form: [{"role","content",…}]
    std::string tools_json;            // OpenAI form, or empty
    std::string tool_choice = "auto";  // auto, none, required
    std::string json_schema;           // the answer must fit it; empty: free
    std::string grammar;               // GBNF given by the caller; empty: none
    bool parallel_tool_calls = false;
    bool add_generation_prompt = true;
    bool enable_thinking = true;
    std::vector<std::pair<std::string, std::string>> kwargs;  // chat_template_kwargs: name, JSON text
  };
  // kInvalid: the template refuses these messages (its own words), a schema that cannot be met, tools together with a
  // grammar, JSON that does not parse or is nested deeper than kMaxJsonDepth.
  virtual base::Result<RenderedChat> render(const Input& input) const = 0;
  // `partial`: more text will come. Never fails: text that fits no tool-call form is content.
  virtual ChatMessage parse(const std::string& text, const ChatSyntax* syntax, bool partial) const = 0;
};

// A JSON schema as GBNF. kInvalid names what is not understood.
base::Result<std::string> json_schema_to_gbnf(const std::string& schema_json);

}  // namespace payonce::engine
