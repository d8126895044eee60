#include "prefix/context/unit_layout.h"

#include <fmt/format.h>

#include "llm/json_edit.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
using llm::Dialect;
using llm::JsonType;

namespace {

// The node of a unit's content: a string or a list of parts.
uint32_t content_node(const Prompt& prompt, const Unit& unit) {
  const llm::Tape& tape = prompt.request->tape;
  if (tape[unit.node].type != JsonType::kObject) return unit.node;
  return tape.find(prompt.request->body.view(), unit.node, "content");
}

std::string text_of(Texts& texts, const PartLayout& part) {
  std::string out;
  for (const LayoutPiece& piece : part.pieces)
    out.append(piece.repeats ? std::string_view() : texts.bytes(piece.of)).append(piece.ours);
  return out;
}

std::string text_part(const Prompt& prompt, std::string_view text) {
  const bool responses = prompt.request->dialect == Dialect::kOpenAiResponses;
  return fmt::format(R"({{"type":"{}","text":{}}})", responses ? "input_text" : "text", llm::json_string(text));
}

std::string without_markers_of(std::string_view json) {
  const auto tape = llm::Tape::parse(json);
  if (!tape || (*tape)[0].type != JsonType::kObject) return std::string(json);
  llm::JsonEdit edit(json, *tape);
  edit.remove_members(0, is_marker_name);
  return edit.apply();
}

std::string with_marker_of(const Prompt& prompt, uint32_t block, std::string json) {
  const llm::Tape& tape = prompt.request->tape;
  const uint32_t from = prompt.blocks[block].node;
  const auto made = llm::Tape::parse(json);
  if (!made || tape[from].type != JsonType::kObject) return json;
  llm::JsonEdit edit(json, *made);
  for (const std::string_view name : {"cache_control", "prompt_cache_breakpoint"})
    if (const uint32_t node = tape.find(prompt.request->body.view(), from, name); node != kNoNode)
      edit.add_member(0, name, prompt.raw(node));
  return edit.apply();
}

}  // namespace

std::string_view Texts::of(uint32_t block) {
  if (!texts_[block]) {
    const uint32_t node = prompt_.blocks[block].text_node;
    texts_[block] = node == kNoNode ? std::string() : prompt_.text(node);
  }
  return *texts_[block];
}

bool is_plain_text(const Prompt& prompt, uint32_t block) {
  const Block& of = prompt.blocks[block];
  const llm::Tape& tape = prompt.request->tape;
  if (of.text_node == kNoNode) return false;
  if (of.node == of.text_node) return true;
  uint32_t at = of.node + 1;
  for (uint32_t i = 0; i < tape[of.node].children; ++i, at = tape[at + 1].next) {
    const std::string name = tape.decoded(prompt.request->body.view(), at);
    if (name != "type" && name != "text" && !is_marker_name(name)) return false;
  }
  return true;
}

bool may_have_parts(const Prompt& prompt, const Unit& unit) {
  const bool is_text = prompt.request->tape[unit.node].type == JsonType::kString;
  return !is_text || prompt.request->dialect == Dialect::kAnthropicMessages;
}

std::string write_layouts(const Prompt& prompt, Texts& texts, const std::vector<UnitLayout>& layouts) {
  llm::JsonEdit edit(prompt.request->body.view(), prompt.request->tape);
  for (const UnitLayout& layout : layouts) {
    const uint32_t node = content_node(prompt, prompt.units[layout.unit]);
    const bool is_text = prompt.request->tape[node].type == JsonType::kString;
    if (is_text && layout.parts.size() == 1) {
      edit.replace(node, llm::json_string(text_of(texts, layout.parts.front())));
      continue;
    }
    std::string list;
    for (const PartLayout& part : layout.parts) {
      std::string json = part.whole != kNoNode ? without_markers_of(prompt.raw(prompt.blocks[part.whole].node))
                                               : text_part(prompt, text_of(texts, part));
      if (part.marker_of != kNoNode) json = with_marker_of(prompt, part.marker_of, std::move(json));
      list += (list.empty() ? "[" : ",") + json;
    }
    edit.replace(node, list + "]");
  }
  return edit.apply();
}

}  // namespace payonce::prefix
