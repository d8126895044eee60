#include "prefix/ping_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "llm/json_edit.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;

class Ping {
 public:
  explicit Ping(const Prompt& sent)
      : sent_(sent), tape_(sent.request->tape), text_(sent.request->body.view()), edit_(text_, tape_) {}

  std::optional<std::string> make() {
    const uint32_t max_tokens = member("max_tokens");
    if (max_tokens == kNoNode || !is_possible()) return std::nullopt;
    // The automatic mark stands at the end of what is sent: then all of it goes.
    if (sent_.automatic == Marker::kNone && !cut_behind_last_mark()) return std::nullopt;
    edit_.replace(max_tokens, refuses_zero() ? "1" : "0");
    edit_.remove_members(0, [](std::string_view name) { return name == "stream" || name == "diagnostics"; });
    return edit_.apply();
  }

 private:
  uint32_t member(std::string_view name, uint32_t object = 0) const { return tape_.find(text_, object, name); }
  bool is(uint32_t node, JsonType type) const { return node != kNoNode && tape_[node].type == type; }
  std::string type_of(uint32_t object) const {
    if (!is(object, JsonType::kObject)) return {};
    const uint32_t type = member("type", object);
    return is(type, JsonType::kString) ? tape_.decoded(text_, type) : std::string();
  }

  bool is_possible() const {
    constexpr std::array<std::string_view, 3> kWork = {"mcp_servers", "container", "context_management"};
    if (sent_.has_other_markers || sent_.automatic == Marker::kLong) return false;
    if (type_of(member("thinking")) == "enabled") return false;  // its budget is below max_tokens, and must stay
    return std::all_of(kWork.begin(), kWork.end(), [&](std::string_view name) { return member(name) == kNoNode; });
  }

  bool refuses_zero() const {
    const std::string choice = type_of(member("tool_choice"));
    const uint32_t config = member("output_config");
    const bool has_format =
        member("output_format") != kNoNode || (is(config, JsonType::kObject) && member("format", config) != kNoNode);
    return has_format || choice == "any" || choice == "tool" || type_of(member("thinking")) == "adaptive";
  }

  bool cut_behind_last_mark() {
    const Block* last = nullptr;
    for (const Block& block : sent_.blocks)
      if (block.marker != Marker::kNone) last = &block;
    if (last == nullptr || last->marker != Marker::kShort || !is(sent_.messages_node, JsonType::kArray)) return false;
    if (last->section != Section::kMessages) {
      // What follows the mark is not read, but a request has a message.
      edit_.replace(sent_.messages_node, R"([{"role":"user","content":"-"}])");
      return true;
    }
    const Unit& unit = sent_.units[last->unit];
    const bool is_last = unit.index + 1 == tape_[sent_.messages_node].children;
    // The last message is no assistant's: that would be the beginning of an answer.
    const bool reply_follows = last->role == Role::kAssistant && !is_last;
    const uint32_t message = reply_follows ? tape_[unit.node].next : unit.node;
    std::string kept(text_.substr(begin_of(sent_.messages_node), begin_of(message) - begin_of(sent_.messages_node)));
    kept += reply_follows ? tape_.raw(text_, message) : cut(unit.node, last->node);
    edit_.replace(sent_.messages_node, kept + "]");
    return true;
  }

  // The message up to this part, unless a tool's result comes after it: each call must have its own.
  std::string cut(uint32_t message, uint32_t part) {
    const std::string whole(tape_.raw(text_, message));
    const uint32_t content = member("content", message);
    if (!is(content, JsonType::kArray)) return whole;
    const uint32_t end = tape_[content].next;
    uint32_t at = content + 1;
    while (at < end && at != part) at = tape_[at].next;
    if (at >= end) return whole;
    for (uint32_t behind = tape_[at].next; behind < end; behind = tape_[behind].next)
      if (type_of(behind) == "tool_result") return whole;
    const uint32_t content_end = end_of(content);
    return fmt::format("{}]{}", text_.substr(begin_of(message), end_of(part) - begin_of(message)),
                       text_.substr(content_end, end_of(message) - content_end));
  }

  uint32_t begin_of(uint32_t node) const { return tape_[node].begin; }
  uint32_t end_of(uint32_t node) const { return tape_[node].begin + tape_[node].size; }

  const Prompt& sent_;
  const llm::Tape& tape_;
  const std::string_view text_;
  llm::JsonEdit edit_;
};

}  // namespace

std::optional<std::string> ping_request(const Prompt& sent) {
  if (sent.request->dialect != llm::Dialect::kAnthropicMessages) return std::nullopt;
  return Ping(sent).make();
}

}  // namespace payonce::prefix
