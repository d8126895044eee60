// What was asked more than once: equal requests, paraphrases, tool calls.
#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>
#include <unordered_map>

#include "audit/summarise.h"
#include "base/ascii.h"
#include "base/utf8.h"
#include "llm/question.h"

namespace payonce::audit {
namespace {

namespace json = boost::json;

constexpr size_t kListed = 50;  // groups and pairs that a report lists
constexpr size_t kExample_bytes = 240;

std::string shortened(std::string text) {
  std::ranges::replace_if(text, base::is_control, ' ');
  return base::excerpt(text, kExample_bytes);
}

std::string asked(const history::Call& call) {
  auto request = llm::parse_request(call.dialect, base::Bytes::unowned(call.request));
  if (!request) return "";
  auto question = llm::question_of(*request);
  return question ? shortened(std::move(question->text)) : "(not a question of one text)";
}

const json::value* member(const json::value& of, std::string_view name) {
  return of.is_object() ? of.as_object().if_contains(name) : nullptr;
}

std::string_view text(const json::value* value) {
  return value != nullptr && value->is_string() ? std::string_view(value->as_string()) : std::string_view();
}

// Calls `found(name, arguments)` for each tool call in a JSON value, wherever a dialect puts it.
void each_tool_call(const json::value& value, const std::function<void(std::string_view, std::string)>& found) {
  if (const json::array* list = value.if_array()) {
    for (const json::value& element : *list) each_tool_call(element, found);
    return;
  }
  if (!value.is_object()) return;
  if (text(member(value, "type")) == "tool_use" && member(value, "input") != nullptr)
    return found(text(member(value, "name")), json::serialize(*member(value, "input")));
  if (const json::value* function = member(value, "function"); function != nullptr && member(*function, "arguments"))
    return found(text(member(*function, "name")), std::string(text(member(*function, "arguments"))));
  if (text(member(value, "type")) == "function_call")
    return found(text(member(value, "name")), std::string(text(member(value, "arguments"))));
  for (const std::string_view inner : {"content", "choices", "message", "tool_calls", "output"})
    if (const json::value* next = member(value, inner)) each_tool_call(*next, found);
}

bool may_call_tools(std::string_view text) {
  return text.find("tool_use") != std::string_view::npos || text.find("tool_calls") != std::string_view::npos ||
         text.find("function_call") != std::string_view::npos;
}

class ToolCounter {
 public:
  explicit ToolCounter(ToolRepeats& out) : out_(out) {}
  ~ToolCounter() {
    out_.by_tool.assign(repeated_.begin(), repeated_.end());
    std::ranges::stable_sort(out_.by_tool, [](const auto& a, const auto& b) { return a.second > b.second; });
  }
  // An answer, or a piece of one, in the session of that name.
  void add(const std::string& session, std::string_view text) {
    if (!may_call_tools(text)) return;
    boost::system::error_code error;
    const json::value answer = json::parse(text, error);
    if (error) return;
    each_tool_call(answer, [&](std::string_view name, const std::string& arguments) {
      ++out_.calls;
      if (seen_[session].insert(std::string(name) + "\n" + arguments).second) return;
      ++out_.repeated;
      ++repeated_[std::string(name)];
    });
  }

 private:
  ToolRepeats& out_;
  std::map<std::string, std::set<std::string>> seen_;  // by session
  std::map<std::string, size_t> repeated_;             // by tool
};

void add_tools(const ReplayedLog& replay, const history::Log& log, Report& report) {
  ToolCounter tools(report.tools);
  for (const history::Call& call : replay.calls) tools.add(std::string(call.session), call.response);
  for (size_t i = 0; i < log.conversations.size(); ++i)
    for (const history::Piece& piece : log.conversations[i])
      if (piece.role == "assistant") tools.add("conversation " + std::to_string(i), piece.raw);
}

}  // namespace

void add_repeats(const ReplayedLog& replay, const history::Log& log, bool show_text, Report& report) {
  std::map<size_t, Repeat> groups;
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    const Replayed& replayed = replay.replayed[i];
    if (replayed.source == SIZE_MAX) continue;
    if (replayed.took == Took::kSemantic) {
      report.paraphrases.push_back({.request = i,
                                    .source = replayed.source,
                                    .similarity = replayed.similarity,
                                    .same_answer = replayed.same_answer,
                                    .question = show_text ? asked(replay.calls[i]) : "",
                                    .matched = show_text ? asked(replay.calls[replayed.source]) : ""});
      continue;
    }
    Repeat& group = groups[replayed.source];
    if (group.requests.empty()) group.requests.push_back(replayed.source);
    group.requests.push_back(i);
    const CallCost cost = cost_of(replay.calls[i], replayed, replay.options.prices);
    group.cost_usd += cost.all.actual - cost.all.with;
  }
  for (auto& [source, group] : groups) report.repeats.push_back(std::move(group));
  std::ranges::stable_sort(report.repeats, [](const Repeat& a, const Repeat& b) {
    return a.cost_usd != b.cost_usd ? a.cost_usd > b.cost_usd : a.requests.size() > b.requests.size();
  });
  if (report.repeats.size() > kListed) report.repeats.resize(kListed);
  if (show_text)
    for (Repeat& group : report.repeats) group.example = asked(replay.calls[group.requests.front()]);
  // The least alike first: they are what a person should look at.
  std::ranges::stable_sort(report.paraphrases, [](const Paraphrase& a, const Paraphrase& b) {
    return a.same_answer != b.same_answer ? b.same_answer : a.similarity < b.similarity;
  });
  if (report.paraphrases.size() > kListed) report.paraphrases.resize(kListed);
  add_tools(replay, log, report);
}

}  // namespace payonce::audit
