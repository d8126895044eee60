#include "prefix/compaction/compaction_call.h"

#include <algorithm>
#include <array>

#include "base/ascii.h"

namespace payonce::prefix {
namespace {

constexpr uint32_t kMinTokens = 200;
constexpr size_t kLook_bytes = 4000;           // of a text's two ends: instructions stand there
constexpr size_t kNear_bytes = 120;            // between what is to be done and with what
constexpr size_t kMinInstruction_bytes = 200;  // with tools: a person's own sentence is shorter
constexpr uint32_t kMinMessages = 2;           // before the instruction
constexpr std::array<std::string_view, 4> kDo = {"summar", "compact", "condense", "checkpoint"};
constexpr std::array<std::string_view, 6> kWith = {"conversation", "history", "session",
                                                   "transcript",   "chat",    "dialog"};
constexpr std::array<std::string_view, 4> kSurely = {"context checkpoint compaction", "<state_snapshot>",
                                                     "handoff summary", "context compaction"};
constexpr std::array<std::string_view, 3> kNot = {"title", "under 50 characters", "commit message"};
constexpr std::array<std::string_view, 9> kRoles = {"user",   "human", "assistant", "ai",      "model",
                                                    "system", "tool",  "agent",     "customer"};

std::string lower_ends(std::string_view text) {
  std::string out(text.substr(0, kLook_bytes));
  if (text.size() > 2 * kLook_bytes)
    out.append("\n").append(text.substr(text.size() - kLook_bytes));
  else if (text.size() > kLook_bytes)
    out.append(text.substr(kLook_bytes));
  return base::lowered(out);
}

template <size_t N>
bool has_any(std::string_view text, const std::array<std::string_view, N>& words) {
  return std::any_of(words.begin(), words.end(), [&](std::string_view word) { return text.find(word) != text.npos; });
}

bool asks_for_a_summary(std::string_view text) {
  const std::string ends = lower_ends(text);
  if (has_any(ends, kNot)) return false;
  if (has_any(ends, kSurely)) return true;
  for (const std::string_view verb : kDo)
    for (size_t at = ends.find(verb); at != ends.npos; at = ends.find(verb, at + 1)) {
      const size_t begin = at > kNear_bytes ? at - kNear_bytes : 0;
      if (has_any(std::string_view(ends).substr(begin, at - begin + kNear_bytes), kWith)) return true;
    }
  return false;
}

}  // namespace

std::string_view without_role(std::string_view line, bool* only_role) {
  if (only_role != nullptr) *only_role = false;
  std::string_view rest = line;
  while (!rest.empty() && (rest[0] == ' ' || rest[0] == '#' || rest[0] == '[' || rest[0] == '<' || rest[0] == '*'))
    rest.remove_prefix(1);
  size_t end = 0;
  while (end < rest.size() && end < 24 && base::is_letter(rest[end])) ++end;
  std::string word(rest.substr(0, end));
  for (char& c : word) c = static_cast<char>(c | 0x20);
  if (std::find(kRoles.begin(), kRoles.end(), word) == kRoles.end()) return line;
  const bool bare = rest.data() == line.data();  // "User: …"; else "[User]: …", "# USER", "<user>", "**User**"
  size_t at = end;
  while (at < rest.size() && at < 40 && rest[at] != ':' && rest[at] != ']' && rest[at] != '>' && rest[at] != '*')
    ++at;
  if (at >= 40 || (bare && (at == rest.size() || rest[at] != ':'))) return line;
  if (bare && at != end) return line;  // "User interfaces are: …"
  while (at < rest.size() &&
         (rest[at] == ':' || rest[at] == ']' || rest[at] == '>' || rest[at] == '*' || rest[at] == ' '))
    ++at;
  rest.remove_prefix(at);
  if (only_role != nullptr) *only_role = rest.empty();
  return rest;
}

bool is_transcript(std::string_view text) {
  int found = 0;
  for (size_t at = 0; at < text.size() && found < 2;) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    found += without_role(line).data() != line.data() ? 1 : 0;
    at = end + 1;
  }
  return found >= 2;
}

std::string text_of_unit(const Prompt& prompt, const Unit& unit) {
  std::string out;
  for (uint32_t i = unit.first_block; i < unit.first_block + unit.blocks; ++i)
    if (prompt.blocks[i].text_node != kNoNode)
      out += (out.empty() ? "" : "\n") + prompt.text(prompt.blocks[i].text_node);
  return out;
}

std::optional<CompactionCall> compaction_of(const Prompt& prompt) {
  if (prompt.units.empty() || prompt.tokens() < kMinTokens) return std::nullopt;
  const Unit& last = prompt.units.back();
  if (last.section != Section::kMessages || last.role != Role::kUser) return std::nullopt;
  uint32_t tools = 0, messages = 0;
  std::string system;
  for (const Unit& unit : prompt.units) {
    tools += unit.section == Section::kTools ? 1 : 0;
    messages += unit.section == Section::kMessages ? 1 : 0;
    if (unit.section == Section::kSystem) system += text_of_unit(prompt, unit) + "\n";
  }
  const std::string asked = text_of_unit(prompt, last);
  const bool asks = asks_for_a_summary(asked);
  if (tools > 0 ? !asks || asked.size() < kMinInstruction_bytes : !asks && !asks_for_a_summary(system))
    return std::nullopt;
  CompactionCall out{.instruction = static_cast<uint32_t>(prompt.units.size() - 1)};
  if (messages > kMinMessages) return out;
  out.rendered = true;
  if (!is_transcript(asked) && !is_transcript(system)) return std::nullopt;
  return out;
}

}  // namespace payonce::prefix
