#include "prefix/arrangement.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "llm/json_edit.h"
#include "prefix/prompt/unit.h"

namespace payonce::prefix {
using llm::Dialect;
using llm::JsonType;
using llm::Tape;

Arrangement::Arrangement(const Prompt& prompt)
    : prompt_(prompt), order_(prompt.units.size()), pieces_(prompt.units.size()), dropped_(prompt.blocks.size()) {
  std::iota(order_.begin(), order_.end(), 0u);
  for (uint32_t i = 0; i < prompt.units.size(); ++i) {
    const std::string_view raw = prompt.raw(prompt.units[i].node);
    if (has_markers(raw)) pieces_[i].stripped = without_markers(raw);
  }
}

std::string_view Arrangement::text(uint32_t unit) const {
  const Piece& piece = pieces_[unit];
  if (piece.spelling) return *piece.spelling;
  return piece.stripped.empty() ? prompt_.raw(prompt_.units[unit].node) : std::string_view(piece.stripped);
}

void Arrangement::order_tools(const std::vector<uint32_t>& order, const ListStyle& tools, const ListStyle& messages) {
  for (uint32_t i = 0; i < order.size(); ++i) order_[i] = order[i];  // tools are the first units
  tools_style_ = tools;
  messages_style_ = messages;
}

bool Arrangement::tools_moved() const { return !std::is_sorted(order_.begin(), order_.end()); }

uint32_t Arrangement::respelled() const {
  return static_cast<uint32_t>(
      std::count_if(pieces_.begin(), pieces_.end(), [](const Piece& piece) { return piece.spelling != nullptr; }));
}

std::vector<SentBlock> Arrangement::sent(const base::KeyedHash& hash, const CacheOf& cache) const {
  std::vector<SentBlock> out;
  out.reserve(prompt_.blocks.size());
  base::Hash128 chain = cache.tools;
  uint32_t tokens = 0;
  Section section = Section::kTools;
  const auto enter = [&](Section next, const base::Hash128& more) {
    if (section >= next) return;
    section = next;
    chain = hash.parts<2>({base::bytes_of(chain), base::bytes_of(more)});
  };
  for (const uint32_t index : order_) {
    const Unit& unit = prompt_.units[index];
    if (unit.section >= Section::kSystem) enter(Section::kSystem, cache.system);
    if (unit.section >= Section::kMessages) enter(Section::kMessages, cache.messages);
    for (uint32_t i = unit.first_block; i < unit.first_block + unit.blocks; ++i) {
      if (dropped_[i]) continue;
      base::Hash128 value = prompt_.blocks[i].value;
      if (moved() && unit.section == Section::kSystem) value = hash.parts<2>({"moved", text(index)});
      chain = hash.parts<2>({base::bytes_of(chain), base::bytes_of(value)});
      tokens += prompt_.blocks[i].tokens;
      out.push_back({.block = i, .chain = chain, .tokens_through = tokens});
    }
  }
  return out;
}

void Arrangement::drop_part(uint32_t block) {
  const std::string json(text(prompt_.blocks[block].unit));
  const auto tape = Tape::parse(json);
  const uint32_t content = tape ? content_of(*tape, json) : kNoNode;
  if (content == kNoNode || (*tape)[content].type != JsonType::kArray || (*tape)[content].children < 2) return;
  llm::JsonEdit edit(json, *tape);
  edit.remove_element(content, part_of(block));
  pieces_[prompt_.blocks[block].unit].spelling = std::make_shared<const std::string>(edit.apply());
  dropped_[block] = true;
}

uint32_t Arrangement::part_of(uint32_t block) const {
  const uint32_t first = prompt_.units[prompt_.blocks[block].unit].first_block;
  uint32_t part = 0;
  for (uint32_t i = first; i < block; ++i) part += dropped_[i] ? 0 : 1;
  return part;
}

namespace {

bool has_content(std::string_view message) {
  const auto tape = Tape::parse(message);
  return tape && content_of(*tape, message) != kNoNode;
}

}  // namespace

bool Arrangement::move(const std::vector<SiteView::Text>& system) {
  uint32_t to = kNoNode;
  for (uint32_t i = 0; i < prompt_.units.size(); ++i)
    if (prompt_.units[i].section == Section::kMessages &&
        (prompt_.units[i].role == Role::kUser || prompt_.units[i].role == Role::kTool))
      to = i;
  if (to == kNoNode || !has_content(text(to))) return false;
  std::string moved, kept;
  for (const SiteView::Text& text : system)
    for (size_t i = 0; i < text.verdict.changes.size(); ++i)
      (text.verdict.changes[i] ? moved : kept)
          .append(text.of->text, text.of->segments[i].begin, text.of->segments[i].size);
  if (moved.empty() || kept.find_first_not_of(" \t\r\n") == std::string::npos) return false;
  for (uint32_t i = 0; i < prompt_.units.size(); ++i)
    if (prompt_.units[i].section == Section::kSystem)
      if (std::string without = without_segments(prompt_.units[i], system); !without.empty())
        pieces_[i].spelling = std::make_shared<const std::string>(std::move(without));
  moved_text_ = std::move(moved);
  moved_to_ = to;
  return true;
}

// The unit's text without its changing segments; empty where it has none. Parts of which nothing stays are dropped.
std::string Arrangement::without_segments(const Unit& unit, const std::vector<SiteView::Text>& system) {
  const auto index = static_cast<uint32_t>(&unit - prompt_.units.data());
  const std::string json(text(index));
  const auto tape = Tape::parse(json);
  const uint32_t content = tape ? content_of(*tape, json) : kNoNode;
  if (content == kNoNode) return {};
  llm::JsonEdit edit(json, *tape);
  const bool is_list = (*tape)[content].type == JsonType::kArray;
  for (const SiteView::Text& part : system) {
    if (!part.verdict.any_changes || prompt_.blocks[part.block].unit != index) continue;
    std::string kept;
    for (size_t i = 0; i < part.verdict.changes.size(); ++i)
      if (!part.verdict.changes[i]) kept.append(part.of->text, part.of->segments[i].begin, part.of->segments[i].size);
    if (!is_list) {
      edit.replace(content, llm::json_string(kept));
      continue;
    }
    const uint32_t at = part.block - unit.first_block;
    uint32_t element = content + 1;
    for (uint32_t i = 0; i < at; ++i) element = (*tape)[element].next;
    if (kept.find_first_not_of(" \t\r\n") != std::string::npos) {
      edit.replace(tape->find(json, element, "text"), llm::json_string(kept));
    } else if ((*tape)[content].children > 1) {
      edit.remove_element(content, at);
      dropped_[part.block] = true;
    }
  }
  return edit.empty() ? std::string() : edit.apply();
}

bool Arrangement::keeps_markers(const Unit& unit, const std::vector<Mark>& marks) const {
  for (uint32_t i = unit.first_block; i < unit.first_block + unit.blocks; ++i) {
    const auto mark = std::find_if(marks.begin(), marks.end(), [&](const Mark& m) { return m.block == i; });
    if ((mark == marks.end() ? Marker::kNone : mark->ttl) != prompt_.blocks[i].marker) return false;
  }
  return true;
}

std::string_view Arrangement::text_type(Role role) const {
  if (prompt_.request->dialect != Dialect::kOpenAiResponses) return "text";
  return role == Role::kAssistant ? "output_text" : "input_text";
}

std::string Arrangement::marked(uint32_t unit, std::string text, const std::vector<Mark>& marks,
                                const MarkerSpelling& spelling) const {
  for (const Mark& mark : marks) {
    if (prompt_.blocks[mark.block].unit != unit) continue;
    const bool is_long = mark.ttl == Marker::kLong && !spelling.long_value.empty();
    std::string with =
        with_marker(text, part_of(mark.block), spelling.member, is_long ? spelling.long_value : spelling.short_value,
                    text_type(prompt_.blocks[mark.block].role));
    if (!with.empty()) text = std::move(with);
  }
  return text;
}

std::string Arrangement::unit_text(uint32_t unit, const std::vector<Mark>& marks,
                                   const MarkerSpelling& spelling) const {
  const Unit& of = prompt_.units[unit];
  const bool gets_text = moved() && unit == moved_to_;
  if (!pieces_[unit].spelling && !gets_text && keeps_markers(of, marks) &&
      (pieces_[unit].stripped.empty() || spelling.member == "cache_control"))
    return std::string(prompt_.raw(of.node));
  const bool has_mark = std::any_of(marks.begin(), marks.end(),
                                    [&](const Mark& mark) { return prompt_.blocks[mark.block].unit == unit; });
  std::string out = marked(unit, std::string(text(unit)), marks, spelling);
  const bool own_part = has_mark || prompt_.request->dialect == Dialect::kAnthropicMessages;
  return gets_text ? with_moved_text(out, own_part) : out;
}

// `own_part`: the text may not join the string that is there, which was, or will be, written to the cache.
std::string Arrangement::with_moved_text(std::string_view message, bool own_part) const {
  const auto tape = Tape::parse(message);
  const uint32_t content = tape ? content_of(*tape, message) : kNoNode;
  if (content == kNoNode) return std::string(message);
  llm::JsonEdit edit(message, *tape);
  const std::string_view type = text_type(Role::kUser);
  const std::string part = fmt::format(R"({{"type":"{}","text":{}}})", type, llm::json_string(moved_text_));
  if ((*tape)[content].type == JsonType::kArray) {
    edit.insert_element(content, (*tape)[content].children, part);
  } else if (own_part) {
    edit.replace(content, fmt::format(R"([{{"type":"{}","text":{}}},{}])", type, tape->raw(message, content), part));
  } else {
    std::string joined(tape->raw(message, content));
    joined.pop_back();
    edit.replace(content, joined + "\\n\\n" + llm::json_string(moved_text_).substr(1));
  }
  return edit.apply();
}

std::string Arrangement::list(Section from, Section to, const ListStyle& style, const std::vector<Mark>& marks,
                              const MarkerSpelling& spelling) const {
  std::string out = style.open;
  bool first = true;
  for (const uint32_t unit : order_) {
    const Section section = prompt_.units[unit].section;
    if (section < from || section > to || prompt_.units[unit].node == prompt_.system_node) continue;
    if (!std::exchange(first, false)) out += style.separator.empty() ? "," : style.separator;
    out += unit_text(unit, marks, spelling);
  }
  return out += style.close;
}

std::optional<std::string> Arrangement::write(const std::vector<Mark>& marks, const MarkerSpelling& spelling) const {
  const llm::Request& request = *prompt_.request;
  llm::JsonEdit edit(request.body.view(), request.tape);
  bool changed = false;
  const auto put = [&](uint32_t node, std::string text) {
    if (text == prompt_.raw(node)) return;
    edit.replace(node, std::move(text));
    changed = true;
  };
  const auto is_list = [&](uint32_t node) {
    return node != kNoNode && request.tape[node].type == JsonType::kArray && request.tape[node].children > 0;
  };
  if (is_list(prompt_.tools_node))
    put(prompt_.tools_node, list(Section::kTools, Section::kTools, tools_style_, marks, spelling));
  for (uint32_t i = 0; i < prompt_.units.size(); ++i)
    if (prompt_.units[i].node == prompt_.system_node || prompt_.units[i].node == prompt_.messages_node)
      put(prompt_.units[i].node, unit_text(i, marks, spelling));
  if (is_list(prompt_.messages_node))
    put(prompt_.messages_node, list(Section::kSystem, Section::kMessages, messages_style_, marks, spelling));
  if (!keeps_automatic_) {
    edit.remove_members(0, [](std::string_view name) { return name == "cache_control"; });
    changed = true;
  }
  if (cache_key_) {
    const uint32_t node = request.tape.find(request.body.view(), 0, "prompt_cache_key");
    if (node == kNoNode) {
      edit.add_member(0, "prompt_cache_key", llm::json_string(*cache_key_));
      changed = true;
    } else {
      put(node, llm::json_string(*cache_key_));
    }
  }
  return changed ? std::optional(edit.apply()) : std::nullopt;
}

}  // namespace payonce::prefix
