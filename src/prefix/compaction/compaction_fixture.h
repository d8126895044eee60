// A session, and how agents ask for its summary. Shapes as measured on captures of the agents; the words of the
// instructions are like theirs, not theirs.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "llm/dialect.h"
#include "llm/json_edit.h"

namespace payonce::prefix::fixture {

using Turns = std::vector<std::pair<std::string, std::string>>;  // role, text

inline std::string lines(std::string_view about, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += fmt::format("{} needs step number {} of the plan to be done.\n", about, i);
  return out;
}

inline Turns session_turns() {
  return {{"user", "Please mend the parser of the calculator.\n" + lines("The parser", 8)},
          {"assistant", "I have read the parser and found the fault.\n" + lines("The fault", 8)},
          {"user", "Then write a test for it as well, please.\n" + lines("The test", 8)},
          {"assistant", "The test is written and fails as it should.\n" + lines("The failing test", 8)},
          {"user", "Good. Now make it pass and tell me what you did."}};
}

struct Shape {
  llm::Dialect dialect = llm::Dialect::kOpenAiChat;
  std::string system;
  bool tools = false;
  Turns turns;
};

inline std::string body_of(const Shape& shape) {
  using llm::json_string;
  const bool anthropic = shape.dialect == llm::Dialect::kAnthropicMessages;
  const bool responses = shape.dialect == llm::Dialect::kOpenAiResponses;
  std::string messages, tools;
  if (!anthropic && !responses && !shape.system.empty())
    messages = fmt::format(R"({{"role":"system","content":{}}})", json_string(shape.system));
  for (const auto& [role, text] : shape.turns)
    messages +=
        fmt::format(R"({}{{"role":"{}","content":{}}})", messages.empty() ? "" : ",", role, json_string(text));
  for (const char* name : {"read", "write", "shell"}) {
    const std::string description = json_string(lines(name, 6));
    if (!tools.empty()) tools += ",";
    if (anthropic)
      tools +=
          fmt::format(R"({{"name":"{}","description":{},"input_schema":{{"type":"object"}}}})", name, description);
    else if (responses)
      tools += fmt::format(R"({{"type":"function","name":"{}","description":{}}})", name, description);
    else
      tools += fmt::format(R"({{"type":"function","function":{{"name":"{}","description":{}}}}})", name, description);
  }
  std::string out = R"({"model":"m","max_tokens":500)";
  if (anthropic && !shape.system.empty()) out += R"(,"system":)" + json_string(shape.system);
  if (responses && !shape.system.empty()) out += R"(,"instructions":)" + json_string(shape.system);
  if (shape.tools) out += fmt::format(R"(,"tools":[{}])", tools);
  return out + fmt::format(R"(,"{}":[{}]}})", responses ? "input" : "messages", messages);
}

inline const std::string kAgentSystem = "You are a careful coding agent.\n" + lines("Your work", 10);

inline Shape live_session(llm::Dialect dialect) {
  return {.dialect = dialect, .system = kAgentSystem, .tools = true, .turns = session_turns()};
}

// OpenCode, Qwen Code, Gemini CLI, crush: a system prompt of its own, the history as messages, the instruction last.
inline Shape as_messages(llm::Dialect dialect) {
  Shape out{.dialect = dialect,
            .system = "You are an assistant that summarizes conversations.",
            .tools = false,
            .turns = session_turns()};
  out.turns.push_back({"assistant", "It passes now: I changed one line of the parser."});
  out.turns.push_back({"user", "Provide a detailed summary of our conversation above, for whoever goes on with it."});
  return out;
}

// Codex: the agent's own system text, but no tools.
inline Shape without_tools(llm::Dialect dialect) {
  Shape out{.dialect = dialect, .system = kAgentSystem, .tools = false, .turns = session_turns()};
  out.turns.push_back(
      {"user", "You are to make a context checkpoint compaction: write a handoff summary of the work."});
  return out;
}

// pi, aider, goose: the history as one text.
inline Shape as_text(llm::Dialect dialect) {
  std::string text = "<conversation>\n";
  for (const auto& [role, words] : session_turns())
    text += fmt::format("[{}]: {}\n\n", role == "user" ? "User" : "Assistant", words);
  text +=
      "[Assistant]: It passes now: I changed one line of the parser.\n</conversation>\n\n"
      "Summarize the conversation above in the sections Goal, Progress and Next Steps.";
  return {.dialect = dialect,
          .system = "You are a context summarization assistant.",
          .tools = false,
          .turns = {{"user", text}}};
}

// Claude Code: everything as it was, and the instruction behind it.
inline Shape in_place(llm::Dialect dialect) {
  Shape out = live_session(dialect);
  out.turns.push_back({"assistant", "It passes now: I changed one line of the parser."});
  out.turns.push_back(
      {"user",
       "Your task is to create a detailed summary of the conversation so far, paying close attention to "
       "what was asked and what was done. Do not call tools: such calls will be rejected. Give the summary "
       "in the sections Request, Files, Errors and Next Step."});
  return out;
}

}  // namespace payonce::prefix::fixture
