#include "prefix/prompt/unit.h"

#include <fmt/format.h>

#include <utility>

#include "llm/json_edit.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;
using llm::Tape;

// The list of content parts of a unit, or the string in its place; kNoNode: it has neither (a tool).
uint32_t content_of(const Tape& tape, std::string_view json) {
  if (tape[0].type != JsonType::kObject) return 0;
  for (const std::string_view name : {"content", "output"}) {
    const uint32_t node = tape.find(json, 0, name);
    if (node != Tape::kNone && (tape[node].type == JsonType::kArray || tape[node].type == JsonType::kString))
      return node;
  }
  return kNoNode;
}

}  // namespace

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

}  // namespace payonce::prefix
