#include "prefix/prompt/prompt.h"

#include <fmt/format.h>

#include <array>

#include "prefix/prompt/tokens.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using base::bytes_of;
using base::Hash128;
using llm::Dialect;
using llm::JsonType;
using llm::Tape;

// Members on which some provider's cache depends (prompt_cache/data/providers.json says which, and how far).
constexpr std::array<std::string_view, 17> kParameters = {"model",
                                                          "tool_choice",
                                                          "parallel_tool_calls",
                                                          "thinking",
                                                          "reasoning",
                                                          "reasoning_effort",
                                                          "effort",
                                                          "output_config",
                                                          "response_format",
                                                          "text",
                                                          "verbosity",
                                                          "service_tier",
                                                          "speed",
                                                          "prompt_cache_key",
                                                          "prompt_cache_options",
                                                          "context_management",
                                                          "chat_template_kwargs"};

class Reader {
 public:
  Reader(const llm::Request& request, const base::KeyedHash& hash)
      : tape_(request.tape), text_(request.body.view()), dialect_(request.dialect), hash_(hash) {
    out_.request = &request;
  }

  std::optional<Prompt> read() {
    bool understood = false;
    switch (dialect_) {
      case Dialect::kAnthropicMessages: understood = anthropic(); break;
      case Dialect::kOpenAiChat: understood = chat(); break;
      case Dialect::kOpenAiResponses: understood = responses(); break;
      default: break;
    }
    if (!understood) return std::nullopt;
    parameters();
    return std::move(out_);
  }

 private:
  bool anthropic() {
    if (!tools("tools")) return false;
    out_.system_node = member(0, "system");
    if (out_.system_node != kNoNode && !unit(Section::kSystem, Role::kSystem, out_.system_node, 0)) return false;
    const uint32_t automatic = member(0, "cache_control");
    if (automatic != kNoNode) out_.automatic = marker_at(automatic);
    return messages("messages", kNoNode);
  }
  bool chat() {
    if (!tools("tools")) return false;
    return messages("messages", kNoNode);
  }
  bool responses() {
    if (!tools("tools")) return false;
    out_.system_node = member(0, "instructions");
    if (out_.system_node != kNoNode && is(out_.system_node, JsonType::kNull)) out_.system_node = kNoNode;
    if (out_.system_node != kNoNode && !unit(Section::kSystem, Role::kSystem, out_.system_node, 0)) return false;
    return messages("input", JsonType::kString);
  }

  bool tools(std::string_view name) {
    const uint32_t list = member(0, name);
    if (list == kNoNode || is(list, JsonType::kNull)) return true;
    if (!is(list, JsonType::kArray)) return false;
    out_.tools_node = list;
    uint32_t at = list + 1;
    for (uint32_t i = 0; i < tape_[list].children; ++i, at = tape_[at].next) {
      if (!is(at, JsonType::kObject)) return false;
      begin_unit(Section::kTools, Role::kNone, at, i);
      block(at, kNoNode, hash(at), marker_of(at), dialect_ == Dialect::kAnthropicMessages);
      end_unit();
    }
    return true;
  }

  template <typename Plain>  // a type that the list may have instead (input: a string), or kNoNode
  bool messages(std::string_view name, Plain plain) {
    const uint32_t list = member(0, name);
    if (list == kNoNode) return false;
    out_.messages_node = list;
    if constexpr (std::is_same_v<Plain, JsonType>)
      if (is(list, plain)) return unit(Section::kMessages, Role::kUser, list, 0);
    if (!is(list, JsonType::kArray)) return false;
    uint32_t at = list + 1;
    bool leading = true;  // system text of OpenAI's dialects: the messages of that role in front
    for (uint32_t i = 0; i < tape_[list].children; ++i, at = tape_[at].next) {
      if (!is(at, JsonType::kObject)) return false;
      const Role role = role_of(at);
      leading = leading && role == Role::kSystem;
      if (!unit(leading ? Section::kSystem : Section::kMessages, role, at, i)) return false;
    }
    return true;
  }

  // A message, or a system text that stands alone (a string, or Anthropic's list of parts).
  bool unit(Section section, Role role, uint32_t node, uint32_t index) {
    begin_unit(section, role, node, index);
    const bool message = is(node, JsonType::kObject);
    const uint32_t content = message ? content_of(node) : node;
    const Hash128 envelope = message ? around(node, content) : Hash128();
    if (content == kNoNode) {
      block(node, kNoNode, envelope, Marker::kNone, false);
    } else if (is(content, JsonType::kString)) {
      // A string says what its one text part would: clients write either, and a marker needs the part.
      block(content, content, joined(envelope, text_hash(content)), Marker::kNone, true);
    } else if (is(content, JsonType::kArray) && tape_[content].children > 0) {
      if (!parts(content, envelope)) return false;
    } else {
      block(node, kNoNode, joined(envelope, value_hash(hash_, {tape_, text_, content})), Marker::kNone, false);
    }
    end_unit();
    return true;
  }

  bool parts(uint32_t content, const Hash128& envelope) {
    uint32_t at = content + 1;
    for (uint32_t i = 0; i < tape_[content].children; ++i, at = tape_[at].next) {
      if (!is(at, JsonType::kObject)) return false;
      const uint32_t text = text_of(at);
      const Hash128 value = text != kNoNode && is_plain_text(at) ? text_hash(text) : hash(at);
      block(at, text, i == 0 ? joined(envelope, value) : value, marker_of(at), is_markable(at));
    }
    return true;
  }

  // Anthropic: not thinking, not empty text. OpenAI from GPT-5.6: what users and tools say, not assistants.
  bool is_markable(uint32_t part) const {
    const std::string type = string_at(part, "type");
    if (dialect_ == Dialect::kAnthropicMessages) {
      if (type == "thinking" || type == "redacted_thinking") return false;
      const uint32_t text = text_of(part);
      return text == kNoNode || tape_[text].size > 2;
    }
    return out_.units.back().role != Role::kAssistant;
  }

  // {"type":"text","text":…} and nothing else but a marker.
  bool is_plain_text(uint32_t part) const {
    uint32_t at = part + 1;
    for (uint32_t i = 0; i < tape_[part].children; ++i, at = tape_[at + 1].next) {
      const std::string name = tape_.decoded(text_, at);
      if (name != "type" && name != "text" && !is_marker_name(name)) return false;
    }
    const std::string type = string_at(part, "type");
    return type == "text" || type == "input_text";
  }

  void begin_unit(Section section, Role role, uint32_t node, uint32_t index) {
    out_.units.push_back({.section = section,
                          .role = role,
                          .node = node,
                          .index = index,
                          .first_block = static_cast<uint32_t>(out_.blocks.size())});
  }
  void block(uint32_t node, uint32_t text, const Hash128& value, Marker marker, bool markable) {
    const Unit& unit = out_.units.back();
    const Block* before = out_.blocks.empty() ? nullptr : &out_.blocks.back();
    const uint32_t tokens = estimate_tokens(tape_.raw(text_, node)) + (is_first_of_unit() ? 4 : 0);
    Block made{.section = unit.section, .role = unit.role, .unit = static_cast<uint32_t>(out_.units.size() - 1)};
    made.node = node;
    made.text_node = text;
    made.value = value;
    made.chain = joined(before != nullptr ? before->chain : Hash128(), value);
    made.tokens = tokens;
    made.tokens_through = (before != nullptr ? before->tokens_through : 0) + tokens;
    made.marker = marker;
    made.markable = markable;
    made.ends_message = false;
    out_.blocks.push_back(made);
  }
  void end_unit() {
    Unit& unit = out_.units.back();
    unit.blocks = static_cast<uint32_t>(out_.blocks.size()) - unit.first_block;
    out_.blocks.back().ends_message = true;
    for (uint32_t i = unit.first_block; i < out_.blocks.size(); ++i)
      unit.value = joined(unit.value, out_.blocks[i].value);
  }
  bool is_first_of_unit() const { return out_.units.back().first_block == out_.blocks.size(); }

  void parameters() {
    uint32_t at = 1;
    for (uint32_t i = 0; i < tape_[0].children; ++i, at = tape_[at + 1].next) {
      const std::string name = tape_.decoded(text_, at);
      for (const std::string_view known : kParameters)
        if (name == known) out_.parameters.push_back({known, value_hash(hash_, {tape_, text_, at + 1}), at + 1});
    }
  }

  // All of a message but its content.
  Hash128 around(uint32_t message, uint32_t content) const {
    Hash128 out = hash_("m");
    uint32_t at = message + 1;
    uint64_t low = 0, high = 0;  // a sum: the order of members does not count
    for (uint32_t i = 0; i < tape_[message].children; ++i, at = tape_[at + 1].next) {
      if (at + 1 == content) continue;
      const std::string name = tape_.decoded(text_, at);
      if (is_marker_name(name)) continue;
      const Hash128 value = value_hash(hash_, {tape_, text_, at + 1});
      const Hash128 both = hash_.parts<2>({name, bytes_of(value)});
      low += both.low;
      high += both.high;
    }
    const Hash128 sum{low, high};
    return hash_.parts<2>({bytes_of(out), bytes_of(sum)});
  }

  uint32_t content_of(uint32_t message) const {
    for (const std::string_view name : {"content", "output"}) {  // output: of a function call's result (responses)
      const uint32_t node = tape_.find(text_, message, name);
      if (node != kNoNode && !is(node, JsonType::kNull)) return node;
    }
    return kNoNode;
  }
  uint32_t text_of(uint32_t part) const {
    const uint32_t node = tape_.find(text_, part, "text");
    return node != kNoNode && is(node, JsonType::kString) ? node : kNoNode;
  }
  Marker marker_of(uint32_t object) {
    for (const std::string_view name : {"cache_control", "prompt_cache_breakpoint"}) {
      const uint32_t node = tape_.find(text_, object, name);
      if (node != kNoNode) return marker_at(node);
    }
    return Marker::kNone;
  }
  Marker marker_at(uint32_t node) {
    if (is(node, JsonType::kNull)) return Marker::kNone;
    if (!is_known_marker(node)) out_.has_other_markers = true;
    return is(node, JsonType::kObject) && string_at(node, "ttl") == "1h" ? Marker::kLong : Marker::kShort;
  }
  // {"type":"ephemeral"}, with "ttl":"5m" or "1h"; {"mode":"explicit"}.
  bool is_known_marker(uint32_t node) const {
    if (!is(node, JsonType::kObject)) return false;
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < tape_[node].children; ++i, at = tape_[at + 1].next) {
      const std::string name = tape_.decoded(text_, at);
      const std::string value = is(at + 1, JsonType::kString) ? tape_.decoded(text_, at + 1) : std::string();
      const bool known = (name == "type" && value == "ephemeral") || (name == "mode" && value == "explicit") ||
                         (name == "ttl" && (value == "5m" || value == "1h"));
      if (!known) return false;
    }
    return true;
  }
  Role role_of(uint32_t message) const {
    const std::string role = string_at(message, "role");
    if (role == "system" || role == "developer") return Role::kSystem;
    if (role == "user") return Role::kUser;
    if (role == "assistant") return Role::kAssistant;
    if (role == "tool" || role == "function") return Role::kTool;
    const std::string type = string_at(message, "type");  // items of the responses dialect
    return type.ends_with("_output") ? Role::kTool : Role::kAssistant;
  }
  std::string string_at(uint32_t object, std::string_view name) const {
    const uint32_t node = tape_.find(text_, object, name);
    return node != kNoNode && is(node, JsonType::kString) ? tape_.decoded(text_, node) : std::string();
  }
  uint32_t member(uint32_t object, std::string_view name) const { return tape_.find(text_, object, name); }
  bool is(uint32_t node, JsonType type) const { return tape_[node].type == type; }
  Hash128 hash(uint32_t node) const { return value_hash(hash_, {tape_, text_, node}, true); }
  Hash128 text_hash(uint32_t node) const {
    const Hash128 value = value_hash(hash_, {tape_, text_, node});
    return hash_.parts<2>({"text", bytes_of(value)});
  }
  Hash128 joined(const Hash128& a, const Hash128& b) const { return hash_.parts<2>({bytes_of(a), bytes_of(b)}); }

  const Tape& tape_;
  const std::string_view text_;
  const Dialect dialect_;
  const base::KeyedHash& hash_;
  Prompt out_;
};

std::string_view list_name(const Prompt& prompt, const Unit& unit) {
  const bool responses = prompt.request->dialect == Dialect::kOpenAiResponses;
  if (unit.section == Section::kTools) return "tools";
  return responses ? "input" : "messages";
}

}  // namespace

uint32_t Prompt::first_of(Section section) const {
  uint32_t at = 0;
  while (at < blocks.size() && blocks[at].section < section) ++at;
  return at;
}

base::Hash128 Prompt::parameter(std::string_view name) const {
  for (const Parameter& known : parameters)
    if (known.name == name) return known.value;
  return {};
}

std::optional<Prompt> read_prompt(const llm::Request& request, const base::KeyedHash& hash) {
  return Reader(request, hash).read();
}

std::string path_of(const Prompt& prompt, const Block& block) {
  const Unit& unit = prompt.units[block.unit];
  const Tape& tape = prompt.request->tape;
  const auto part = static_cast<uint32_t>(&block - prompt.blocks.data()) - unit.first_block;
  const bool is_part = block.node != unit.node && tape[block.node].type == JsonType::kObject;
  const std::string_view text = block.text_node != kNoNode && is_part ? ".text" : "";
  if (unit.node == prompt.system_node) {
    const std::string_view name = prompt.request->dialect == Dialect::kOpenAiResponses ? "instructions" : "system";
    return is_part ? fmt::format("{}[{}]{}", name, part, text) : std::string(name);
  }
  if (unit.node == prompt.messages_node) return std::string(list_name(prompt, unit));
  std::string out = fmt::format("{}[{}]", list_name(prompt, unit), unit.index);
  if (is_part) return fmt::format("{}.content[{}]{}", out, part, text);
  return block.text_node != kNoNode ? out + ".content" : out;
}

}  // namespace payonce::prefix
