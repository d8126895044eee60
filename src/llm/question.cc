#include "llm/question.h"

#include <algorithm>
#include <string_view>

namespace payonce::llm {
namespace {

class Finder {
 public:
  explicit Finder(const Request& request) : tape_(request.tape), text_(request.body.view()) {}

  std::optional<Question> in_messages(std::string_view list, std::string_view part_type) const {
    const uint32_t messages = tape_.find(text_, 0, list);
    if (messages == Tape::kNone) return std::nullopt;
    if (tape_[messages].type == JsonType::kString) return list == "input" ? question(messages) : std::nullopt;
    const uint32_t last = last_of(messages);
    if (last == Tape::kNone || tape_[last].type != JsonType::kObject || !says(last, "role", "user"))
      return std::nullopt;
    // Items of the responses dialect that are no message have another type and no role; be sure of it.
    if (tape_.find(text_, last, "type") != Tape::kNone && !says(last, "type", "message")) return std::nullopt;
    const uint32_t content = tape_.find(text_, last, "content");
    if (content == Tape::kNone) return std::nullopt;
    if (tape_[content].type == JsonType::kString) return question(content);
    if (tape_[content].type != JsonType::kArray || tape_[content].children != 1) return std::nullopt;
    const uint32_t part = content + 1;
    if (tape_[part].type != JsonType::kObject || !says(part, "type", part_type)) return std::nullopt;
    const uint32_t string = tape_.find(text_, part, "text");
    return string == Tape::kNone ? std::nullopt : question(string);
  }

 private:
  std::optional<Question> question(uint32_t node) const {
    if (tape_[node].type != JsonType::kString) return std::nullopt;
    Question out{.node = node, .text = tape_.decoded(text_, node)};
    const bool blank = std::all_of(out.text.begin(), out.text.end(),
                                   [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; });
    if (blank) return std::nullopt;
    return out;
  }
  uint32_t last_of(uint32_t array) const {
    if (tape_[array].type != JsonType::kArray || tape_[array].children == 0) return Tape::kNone;
    uint32_t at = array + 1;
    for (uint32_t i = 1; i < tape_[array].children; ++i) at = tape_[at].next;
    return at;
  }
  bool says(uint32_t object, std::string_view name, std::string_view value) const {
    const uint32_t node = tape_.find(text_, object, name);
    return node != Tape::kNone && tape_[node].type == JsonType::kString && tape_.decoded(text_, node) == value;
  }

  const Tape& tape_;
  const std::string_view text_;
};

}  // namespace

std::optional<Question> question_of(const Request& request) {
  const Finder finder(request);
  switch (request.dialect) {
    case Dialect::kOpenAiChat:
    case Dialect::kAnthropicMessages: return finder.in_messages("messages", "text");
    case Dialect::kOpenAiResponses: return finder.in_messages("input", "input_text");
    default: return std::nullopt;
  }
}

}  // namespace payonce::llm
