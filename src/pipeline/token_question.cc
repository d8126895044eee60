#include "pipeline/token_question.h"

#include <array>
#include <charconv>

#include "llm/json_edit.h"

namespace payonce::pipeline {
namespace {

using llm::JsonType;
using llm::Tape;

// Those that change how a prompt is written.
constexpr std::array<std::string_view, 7> kOfTemplate = {"tools",
                                                         "tool_choice",
                                                         "reasoning_effort",
                                                         "chat_template",
                                                         "chat_template_kwargs",
                                                         "add_generation_prompt",
                                                         "continue_final_message"};

// Every content is a text, or a list of texts.
bool is_text_only(const llm::Request& request, uint32_t messages) {
  const Tape& tape = request.tape;
  const std::string_view body = request.body.view();
  uint32_t message = messages + 1;
  for (uint32_t i = 0; i < tape[messages].children; ++i, message = tape[message].next) {
    const uint32_t content = tape.find(body, message, "content");
    if (content == Tape::kNone || tape[content].type != JsonType::kArray) continue;
    uint32_t part = content + 1;
    for (uint32_t j = 0; j < tape[content].children; ++j, part = tape[part].next) {
      const uint32_t type = tape.find(body, part, "type");
      if (type == Tape::kNone || tape.raw(body, type) != "\"text\"") return false;
    }
  }
  return true;
}

}  // namespace

std::optional<std::string> tokenize_body(const llm::Request& request) {
  const Tape& tape = request.tape;
  const std::string_view body = request.body.view();
  const auto member = [&](std::string_view name) { return tape.find(body, 0, name); };
  if (member("cache_salt") != Tape::kNone) return std::nullopt;
  std::string out = "{\"model\":" + llm::json_string(request.model);
  const auto add = [&](std::string_view name, uint32_t node) {
    out.append(",\"").append(name).append("\":").append(tape.raw(body, node));
  };
  if (request.dialect == llm::Dialect::kOpenAiCompletions) {
    const uint32_t prompt = member("prompt");
    if (prompt == Tape::kNone || tape[prompt].type != JsonType::kString) return std::nullopt;
    add("prompt", prompt);
    return out + "}";
  }
  const uint32_t messages = member("messages");
  if (request.dialect != llm::Dialect::kOpenAiChat || messages == Tape::kNone ||
      tape[messages].type != JsonType::kArray || !is_text_only(request, messages))
    return std::nullopt;
  add("messages", messages);
  for (const std::string_view name : kOfTemplate)
    if (const uint32_t node = member(name); node != Tape::kNone) add(name, node);
  return out + "}";
}

std::optional<std::vector<uint32_t>> tokens_in(std::string_view answer) {
  const auto tape = Tape::parse(answer);
  if (!tape) return std::nullopt;
  const uint32_t list = tape->find(answer, 0, "tokens");
  if (list == Tape::kNone || (*tape)[list].type != JsonType::kArray) return std::nullopt;
  std::vector<uint32_t> out;
  out.reserve((*tape)[list].children);
  for (uint32_t node = list + 1; node < (*tape)[list].next; ++node) {
    const std::string_view text = tape->raw(answer, node);
    uint32_t token = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), token);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    out.push_back(token);
  }
  return out;
}

}  // namespace payonce::pipeline
