#include "prefix/compaction/history_first.h"

#include <algorithm>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include "base/ascii.h"
#include "llm/json_edit.h"
#include "prefix/prompt/tokens.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

using base::trimmed;
using llm::Dialect;
using llm::JsonType;
using llm::Tape;

constexpr uint32_t kMinShared = 2;  // the session's prefix is at least one in so many tokens
constexpr std::string_view kNoTools = "\n\nAnswer with text alone: calls of tools will be rejected.";
constexpr std::string_view kCacheKey = "prompt_cache_key";
constexpr std::string_view kAbove = "(The conversation above.)";
constexpr std::string_view kNotAbove = "\n\nWhat was said besides:\n";

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    out.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

// Every line of every string of the units.
class Spoken {
 public:
  void add(const Prompt& prompt, const Unit& unit) {
    const Tape& tape = prompt.request->tape;
    for (uint32_t i = unit.node; i < tape[unit.node].next; ++i) {
      if (tape[i].type != JsonType::kString) continue;
      const std::string text = tape.decoded(prompt.request->body.view(), i);
      for (const std::string_view line : lines_of(text))
        if (const auto words = trimmed(line); !words.empty()) lines_.emplace(words);
    }
  }
  bool has(std::string_view line) const {
    const std::string_view words = trimmed(line);
    return lines_.contains(std::string(words)) || lines_.contains(std::string(trimmed(without_role(words))));
  }

 private:
  std::unordered_set<std::string> lines_;
};

bool says_only_a_role(std::string_view line) {
  bool only = false;
  without_role(trimmed(line), &only);
  return only;
}

// A text with a rendered conversation, without the lines that stand in the messages. Nothing where too little does.
std::optional<std::string> without_history(std::string_view text, const Spoken& spoken) {
  const std::vector<std::string_view> lines = lines_of(text);
  const auto is_known = [&](std::string_view line) {
    return trimmed(line).size() >= kMinLine_bytes && spoken.has(line);
  };
  const auto first_known = std::find_if(lines.begin(), lines.end(), is_known);
  if (first_known == lines.end()) return std::nullopt;
  auto first = static_cast<size_t>(first_known - lines.begin());
  const auto last =
      lines.size() - 1 - static_cast<size_t>(std::find_if(lines.rbegin(), lines.rend(), is_known) - lines.rbegin());
  while (first > 0 && says_only_a_role(lines[first - 1])) --first;
  std::string out, besides;
  size_t history_bytes = 0;
  for (size_t i = 0; i < first; ++i) out.append(lines[i]).append("\n");
  for (size_t i = first; i <= last; ++i) {
    history_bytes += lines[i].size();
    if (!trimmed(lines[i]).empty() && !spoken.has(lines[i]) && !says_only_a_role(lines[i]))
      besides.append(besides.empty() ? "" : "\n").append(lines[i]);
  }
  if (besides.size() * 2 > history_bytes) return std::nullopt;
  out += kAbove;
  if (!besides.empty()) out.append(kNotAbove).append(besides);
  for (size_t i = last + 1; i < lines.size(); ++i) out.append("\n").append(lines[i]);
  return out;
}

class Rewrite {
 public:
  Rewrite(const Prompt& call, const CompactionCall& shape, const Prompt& live, uint32_t common,
          bool keeps_tool_choice)
      : call_(call), shape_(shape), live_(live), common_(common), keeps_tool_choice_(keeps_tool_choice) {}

  std::optional<std::string> body() {
    if (!collect_history() || !collect_instruction()) return std::nullopt;
    std::string list;
    const auto add = [&](std::string_view raw) { list.append(list.empty() ? "[" : ",").append(raw); };
    for (const Unit& unit : live_.units)
      if (unit.section == Section::kSystem && unit.node != live_.system_node) add(live_.raw(unit.node));
    for (const std::string_view raw : history_) add(raw);
    add(R"({"role":"user","content":)" + llm::json_string(instruction_) + "}");
    std::string out(call_.request->body.view());
    const Dialect dialect = call_.request->dialect;
    const bool responses = dialect == Dialect::kOpenAiResponses;
    set(out, responses ? "input" : "messages", list + "]");
    set_from_live(out, "tools", live_.tools_node);
    if (dialect != Dialect::kOpenAiChat) set_from_live(out, responses ? "instructions" : "system", live_.system_node);
    const uint32_t cache_key = live_.request->tape.find(live_.request->body.view(), 0, kCacheKey);
    if (cache_key != kNoNode) set(out, kCacheKey, std::string(live_.raw(cache_key)));
    if (has_tools()) set(out, "tool_choice", keeps_tool_choice_ ? tool_choice_of_live() : none_of(dialect));
    return out;
  }
  const std::string& instruction() const { return instruction_; }
  bool has_tools() const { return !live_.units.empty() && live_.units.front().section == Section::kTools; }
  static std::string none_of(Dialect dialect) {
    return dialect == Dialect::kAnthropicMessages ? R"({"type":"none"})" : R"("none")";
  }
  std::string tool_choice_of_live() const {
    const uint32_t node = live_.request->tape.find(live_.request->body.view(), 0, "tool_choice");
    return node == kNoNode ? std::string() : std::string(live_.raw(node));
  }

 private:
  bool collect_history() {
    if (!shape_.rendered) {
      for (uint32_t i = 0; i < shape_.instruction; ++i)
        if (call_.units[i].section == Section::kMessages) history_.push_back(call_.raw(call_.units[i].node));
      return common_ >= 2;
    }
    std::vector<const Unit*> messages;
    for (const Unit& unit : live_.units)
      if (unit.section == Section::kMessages) messages.push_back(&unit);
    size_t end = std::min<size_t>(common_, messages.size());
    // Not between a call of a tool and its result.
    while (end < messages.size() && holds_result(*messages[end])) ++end;
    for (size_t i = 0; i < end; ++i) {
      if (messages[i]->node == live_.messages_node) return false;  // a plain string
      history_.push_back(live_.raw(messages[i]->node));
      spoken_.add(live_, *messages[i]);
    }
    return end >= 2;
  }
  bool holds_result(const Unit& unit) const {
    return unit.role == Role::kTool || live_.raw(unit.node).find("\"tool_result\"") != std::string_view::npos;
  }

  // The call's own system text, then what its last message says.
  bool collect_instruction() {
    std::string text;
    const auto add = [&](const std::string& more) { text.append(text.empty() ? "" : "\n\n").append(more); };
    for (uint32_t i = 0; i < call_.units.size(); ++i) {
      const Unit& unit = call_.units[i];
      const bool is_instruction = i == shape_.instruction || (shape_.rendered && unit.section == Section::kMessages);
      if (is_instruction || (unit.section == Section::kSystem && !is_lives_own(unit))) {
        for (uint32_t b = unit.first_block; b < unit.first_block + unit.blocks; ++b)
          if (call_.blocks[b].text_node == kNoNode) return false;  // an image: not to be said in words
        add(text_of_unit(call_, unit));
      }
    }
    if (shape_.rendered) {
      auto shorter = without_history(text, spoken_);
      if (!shorter) return false;
      text = *std::move(shorter);
    }
    if (has_tools() && keeps_tool_choice_) text += kNoTools;
    instruction_ = std::move(text);
    return true;
  }
  bool is_lives_own(const Unit& unit) const {
    return std::any_of(live_.units.begin(), live_.units.end(),
                       [&](const Unit& own) { return own.section == Section::kSystem && own.value == unit.value; });
  }

  void set_from_live(std::string& body, std::string_view name, uint32_t node) const {
    set(body, name, node == kNoNode ? std::string() : std::string(live_.raw(node)));
  }
  // The member with this value; an empty one: without it.
  static void set(std::string& body, std::string_view name, const std::string& value) {
    const auto tape = Tape::parse(body);
    if (!tape) return;
    llm::JsonEdit edit(body, *tape);
    const uint32_t node = tape->find(body, 0, name);
    if (node == kNoNode && value.empty()) return;
    if (value.empty())
      edit.remove_members(0, [&](std::string_view member) { return member == name; });
    else if (node == kNoNode)
      edit.add_member(0, name, value);
    else
      edit.replace(node, value);
    body = edit.apply();
  }

  const Prompt& call_;
  const CompactionCall& shape_;
  const Prompt& live_;
  const uint32_t common_;
  const bool keeps_tool_choice_;
  std::vector<std::string_view> history_;
  Spoken spoken_;
  std::string instruction_;
};

std::vector<base::Hash128> values(const Prompt& prompt, Section section) {
  std::vector<base::Hash128> out;
  for (const Unit& unit : prompt.units)
    if (unit.section == section) out.push_back(unit.value);
  return out;
}

// All members but those that hold the prompt, tool_choice, and the key that leads to the session's machine.
std::string others(const llm::Request& request) {
  llm::JsonEdit edit(request.body.view(), request.tape);
  edit.remove_members(0, [](std::string_view name) {
    return name == "tools" || name == "system" || name == "instructions" || name == "messages" || name == "input" ||
           name == "tool_choice" || name == kCacheKey;
  });
  return edit.apply();
}

// The proof, from the new bytes: the session's tools and system text, and every text of the call.
std::string_view differs(const Prompt& call, const CompactionCall& shape, const Prompt& live, std::string_view body,
                         const base::KeyedHash& hash) {
  const auto request = llm::parse_request(call.request->dialect, base::Bytes(std::string(body)));
  if (!request) return "syntax";
  const auto made = read_prompt(*request, hash);
  if (!made) return "shape";
  const std::string before = others(*call.request), after = others(*request);
  const auto tape_before = Tape::parse(before), tape_after = Tape::parse(after);
  if (!tape_before || !tape_after || !same_value({*tape_before, before, 0}, {*tape_after, after, 0}))
    return "parameters";
  if (values(*made, Section::kTools) != values(live, Section::kTools)) return "tools";
  if (values(*made, Section::kSystem) != values(live, Section::kSystem)) return "system text";
  const std::string said = text_of_unit(*made, made->units.back());
  Spoken spoken;
  std::vector<base::Hash128> history;
  for (size_t i = 0; i + 1 < made->units.size(); ++i) {
    if (made->units[i].section != Section::kMessages) continue;
    history.push_back(made->units[i].value);
    if (shape.rendered) spoken.add(*made, made->units[i]);
  }
  const std::vector<base::Hash128> system = values(live, Section::kSystem);
  size_t at = 0;
  for (uint32_t i = 0; i < call.units.size(); ++i) {
    const Unit& unit = call.units[i];
    if (unit.section == Section::kTools) continue;
    if (unit.section == Section::kSystem && std::find(system.begin(), system.end(), unit.value) != system.end())
      continue;
    if (unit.section == Section::kMessages && !shape.rendered && i != shape.instruction) {
      if (at == history.size() || !(history[at++] == unit.value)) return "history";
      continue;
    }
    const std::string text = text_of_unit(call, unit);
    for (const std::string_view line : lines_of(text))
      if (!trimmed(line).empty() && said.find(line) == said.npos &&
          !(shape.rendered && (spoken.has(line) || says_only_a_role(line))))
        return "instruction";
  }
  return {};
}

// Of the session's prompt, through so many of its messages.
uint32_t tokens_through(const Prompt& live, uint32_t messages) {
  uint32_t out = 0, seen = 0;
  for (const Unit& unit : live.units) {
    if (unit.section == Section::kMessages && seen++ == messages) break;
    out = live.blocks[unit.first_block + unit.blocks - 1].tokens_through;
  }
  return out;
}

}  // namespace

HistoryFirst history_first(const Prompt& call, const CompactionCall& shape, const LiveSessions::Found& session,
                           const prompt_cache::Invalidates& invalidates, const base::KeyedHash& hash) {
  const auto request = llm::parse_request(session.dialect, session.body);
  const auto live = request ? read_prompt(*request, hash) : std::nullopt;
  if (!live) return {};
  const bool equal_tools = values(call, Section::kTools) == values(*live, Section::kTools);
  if (equal_tools && values(call, Section::kSystem) == values(*live, Section::kSystem))
    return {};                                                            // it has the session's prefix
  if (!equal_tools && !values(call, Section::kTools).empty()) return {};  // tools of its own
  bool keeps_tool_choice = false;
  for (const auto* names : {&invalidates.all, &invalidates.system_and_messages, &invalidates.messages})
    for (const std::string& name : *names) {
      const std::string_view member = std::string_view(name).substr(0, name.find_first_of(". "));
      if (member == "tool_choice")
        keeps_tool_choice = true;
      else if (member != kCacheKey && !(call.parameter(member) == live->parameter(member)))
        return {};  // the session's prefix would not be read
    }
  Rewrite rewrite(call, shape, *live, session.messages, keeps_tool_choice);
  auto body = rewrite.body();
  if (!body || tokens_through(*live, session.messages) * kMinShared < estimate_tokens(*body)) return {};
  if (const std::string_view what = differs(call, shape, *live, *body, hash); !what.empty())
    return {.body = {}, .fault = "the compaction call behind its history differs in its " + std::string(what)};
  return {.body = *std::move(body), .fault = {}};
}

}  // namespace payonce::prefix
