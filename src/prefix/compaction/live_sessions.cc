#include "prefix/compaction/live_sessions.h"

#include <algorithm>
#include <functional>
#include <unordered_set>
#include <utility>

#include "base/ascii.h"
#include "prefix/compaction/compaction_call.h"

namespace payonce::prefix {
namespace {

using base::Hash128;

constexpr size_t kMinLines = 3;    // that a text and a session have in common
constexpr double kMinShare = 0.8;  // of the session's lines, up to the last that is in the text

template <typename Do>
void for_each_long_line(std::string_view text, Do&& what) {
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = base::trimmed(text.substr(at, end - at));
    if (line.size() >= kMinLine_bytes) what(std::hash<std::string_view>()(line));
    at = end + 1;
  }
}

}  // namespace

void LiveSessions::remember(const Hash128& owner, const Prompt& prompt, const base::KeyedHash& hash) {
  Session made{.owner = owner,
               .model = prompt.request->model,
               .dialect = prompt.request->dialect,
               .body = prompt.request->body,
               .messages = {}};
  Hash128 id = hash.parts<2>({base::bytes_of(owner), made.model});
  for (const Unit& unit : prompt.units) {
    if (unit.section == Section::kTools) id = hash.parts<2>({base::bytes_of(id), base::bytes_of(unit.value)});
    if (unit.section == Section::kMessages) made.messages.push_back({.value = unit.value, .lines = nullptr});
  }
  if (made.messages.empty()) return;
  id = hash.parts<2>({base::bytes_of(id), base::bytes_of(made.messages.front().value)});
  SessionPtr before;
  {
    const std::lock_guard lock(mutex_);
    if (const SessionPtr* known = sessions_.find(id)) before = *known;
  }
  size_t weight = made.body.view().size() + sizeof(Session), at = 0;
  for (const Unit& unit : prompt.units) {
    if (unit.section != Section::kMessages) continue;
    Message& message = made.messages[at];
    if (before && at < before->messages.size() && before->messages[at].value == message.value) {
      message.lines = before->messages[at].lines;
    } else {
      auto lines = std::make_shared<std::vector<uint64_t>>();
      if (unit.role != Role::kTool)
        for_each_long_line(text_of_unit(prompt, unit), [&](uint64_t line) { lines->push_back(line); });
      message.lines = std::move(lines);
    }
    weight += sizeof(Message) + message.lines->size() * sizeof(uint64_t);
    ++at;
  }
  const std::lock_guard lock(mutex_);
  sessions_.insert(id, std::make_shared<const Session>(std::move(made)), weight);
}

std::vector<LiveSessions::SessionPtr> LiveSessions::candidates(const Hash128& owner, const Prompt& call) const {
  std::vector<SessionPtr> out;
  const std::lock_guard lock(mutex_);
  sessions_.for_each([&](const Hash128&, const SessionPtr& session) {
    if (session->owner == owner && session->model == call.request->model && session->dialect == call.request->dialect)
      out.push_back(session);
  });
  return out;
}

std::optional<LiveSessions::Found> LiveSessions::with_messages(const Hash128& owner, const Prompt& call) const {
  std::vector<Hash128> messages;
  for (const Unit& unit : call.units)
    if (unit.section == Section::kMessages) messages.push_back(unit.value);
  std::optional<Found> best;
  for (const SessionPtr& session : candidates(owner, call)) {
    uint32_t common = 0;
    while (common < messages.size() && common < session->messages.size() &&
           messages[common] == session->messages[common].value)
      ++common;
    if (common > (best ? best->messages : 0))
      best = Found{.body = session->body, .dialect = session->dialect, .messages = common};
  }
  return best;
}

std::optional<LiveSessions::Found> LiveSessions::in_text(const Hash128& owner, const Prompt& call,
                                                         std::string_view text) const {
  std::unordered_set<uint64_t> there;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    for (const std::string_view words : {line, without_role(line)})
      for_each_long_line(words, [&](uint64_t hash) { there.insert(hash); });
    at = end + 1;
  }
  std::optional<Found> best;
  size_t best_lines = kMinLines - 1;
  for (const SessionPtr& session : candidates(owner, call)) {
    size_t lines = 0, found = 0, lines_to_last = 0;
    uint32_t last = 0;
    for (uint32_t i = 0; i < session->messages.size(); ++i)
      for (const uint64_t line : *session->messages[i].lines) {
        ++lines;
        if (!there.contains(line)) continue;
        ++found;
        last = i + 1;
        lines_to_last = lines;
      }
    if (found <= best_lines || static_cast<double>(found) < kMinShare * static_cast<double>(lines_to_last)) continue;
    best_lines = found;
    best = Found{.body = session->body, .dialect = session->dialect, .messages = last};
  }
  return best;
}

size_t LiveSessions::size() const {
  const std::lock_guard lock(mutex_);
  return sessions_.size();
}

size_t LiveSessions::bytes() const {
  const std::lock_guard lock(mutex_);
  return sessions_.weight();
}

}  // namespace payonce::prefix
