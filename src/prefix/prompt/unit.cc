#include "prefix/prompt/unit.h"

#include <fmt/format.h>

#include <utility>

#include "llm/json_edit.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;
using llm::Tape;

bool is_string(const Tape& tape, uint32_t node, std::string_view json, std::string_view a, std::string_view b) {
  if (node == Tape::kNone || tape[node].type != JsonType::kString) return false;
  const std::string text = tape.decoded(json, node);
  return text == a || text == b;
}

// The string that a content says which is a string, or one part of text and nothing else; kNoNode: it is neither.
uint32_t only_text(const Tape& tape, std::string_view json, uint32_t content) {
  if (tape[content].type == JsonType::kString) return content;
  if (tape[content].type != JsonType::kArray || tape[content].children != 1) return kNoNode;
  const uint32_t part = content + 1;
  if (tape[part].type != JsonType::kObject || tape[part].children != 2) return kNoNode;
  if (!is_string(tape, tape.find(json, part, "type"), json, "text", "input_text")) return kNoNode;
  const uint32_t text = tape.find(json, part, "text");
  return text != kNoNode && tape[text].type == JsonType::kString ? text : kNoNode;
}

}  // namespace

uint32_t content_of(const Tape& tape, std::string_view json) {
  if (tape[0].type != JsonType::kObject) return 0;
  for (const std::string_view name : {"content", "output"}) {
    const uint32_t node = tape.find(json, 0, name);
    if (node != Tape::kNone && (tape[node].type == JsonType::kArray || tape[node].type == JsonType::kString))
      return node;
  }
  return kNoNode;
}

bool has_markers(std::string_view json) {
  return json.find("cache_control") != std::string_view::npos ||
         json.find("prompt_cache_breakpoint") != std::string_view::npos;
}

std::string without_markers(std::string_view json) {
  const auto tape = has_markers(json) ? Tape::parse(json) : base::Result<Tape>(Tape());
  if (!tape || tape->nodes().empty()) return std::string(json);
  llm::JsonEdit edit(json, *tape);
  if ((*tape)[0].type == JsonType::kObject) edit.remove_members(0, is_marker_name);
  const uint32_t content = content_of(*tape, json);
  if (content != kNoNode && (*tape)[content].type == JsonType::kArray) {
    uint32_t at = content + 1;
    for (uint32_t i = 0; i < (*tape)[content].children; ++i, at = (*tape)[at].next)
      if ((*tape)[at].type == JsonType::kObject) edit.remove_members(at, is_marker_name);
  }
  return edit.apply();
}

std::string with_marker(std::string_view json, uint32_t part, std::string_view name, std::string_view marker,
                        std::string_view text_type) {
  const auto tape = Tape::parse(json);
  if (!tape) return {};
  llm::JsonEdit edit(json, *tape);
  const uint32_t content = content_of(*tape, json);
  if (content == kNoNode) {
    if (part != 0) return {};
    edit.add_member(0, name, marker);
    return edit.apply();
  }
  if ((*tape)[content].type == JsonType::kString) {
    if (part != 0) return {};
    edit.replace(content, fmt::format(R"([{{"type":"{}","text":{},"{}":{}}}])", text_type, tape->raw(json, content),
                                      name, marker));
    return edit.apply();
  }
  if ((*tape)[content].type != JsonType::kArray || part >= (*tape)[content].children) return {};
  uint32_t at = content + 1;
  for (uint32_t i = 0; i < part; ++i) at = (*tape)[at].next;
  if ((*tape)[at].type != JsonType::kObject) return {};
  edit.add_member(at, name, marker);
  return edit.apply();
}

bool same_unit(std::string_view a, std::string_view b) {
  const auto tape_a = Tape::parse(a), tape_b = Tape::parse(b);
  if (!tape_a || !tape_b) return false;
  if (same_value({*tape_a, a, 0}, {*tape_b, b, 0})) return true;
  const uint32_t content_a = content_of(*tape_a, a), content_b = content_of(*tape_b, b);
  if (content_a == kNoNode || content_b == kNoNode) return false;
  const uint32_t text_a = only_text(*tape_a, a, content_a), text_b = only_text(*tape_b, b, content_b);
  if (text_a == kNoNode || text_b == kNoNode) return false;
  if (tape_a->decoded(a, text_a) != tape_b->decoded(b, text_b)) return false;
  // All but the content, with an equal value in its place.
  llm::JsonEdit edit_a(a, *tape_a), edit_b(b, *tape_b);
  edit_a.replace(content_a, "0");
  edit_b.replace(content_b, "0");
  const std::string rest_a = edit_a.apply(), rest_b = edit_b.apply();
  const auto rest_tape_a = Tape::parse(rest_a), rest_tape_b = Tape::parse(rest_b);
  return rest_tape_a && rest_tape_b && same_value({*rest_tape_a, rest_a, 0}, {*rest_tape_b, rest_b, 0});
}

}  // namespace payonce::prefix
