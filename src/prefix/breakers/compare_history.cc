// The messages of a conversation that goes on: respelled, edited, cut, reordered.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "prefix/breakers/breaks.h"
#include "prefix/breakers/differences.h"
#include "prefix/breakers/history_leaves.h"
#include "prefix/breakers/json_place.h"
#include "prefix/breakers/pieces.h"

namespace payonce::prefix {
namespace {

constexpr size_t kMinMovedBytes = 40;
constexpr size_t kProbeBytes = 24;  // of a line of a conversation that is looked for in a summing up
constexpr size_t kMaxMatched = 64;  // messages of a region that are matched one with another

class HistoryComparison {
 public:
  explicit HistoryComparison(BreakList& list)
      : list_(list), a_(list.pair().before), b_(list.pair().now), gone_(a_.messages()), fresh_(b_.messages()) {}

  void run() {
    const auto equal = [&](uint32_t i, uint32_t j) { return a_.message(i).value == b_.message(j).value; };
    regions_ = differing_regions(a_.messages(), b_.messages(), equal);
    equal_runs();
    reordered();
    for (const Region& region : regions_) {
      const Region rest = without_reasoning(without_moved(region));
      if (!differing(rest)) return;
    }
  }

 private:
  // Messages of equal value whose bytes differ.
  void equal_runs() {
    uint32_t i = 0, j = 0;
    const auto check = [&](uint32_t end) {
      for (; i < end; ++i, ++j)
        if (a_.raw(a_.message(i).node) != b_.raw(b_.message(j).node))
          message_leaves(list_, a_.message(i), b_.message(j));
    };
    for (const Region& region : regions_) {
      check(region.a_begin);
      i = region.a_end;
      j = region.b_end;
    }
    check(a_.messages());
  }

  // Messages that are gone in one place and new in another: examples or documents in another order.
  void reordered() {
    uint32_t first = UINT32_MAX, count = 0;
    for (const Region& one : regions_)
      for (uint32_t i = one.a_begin; i < one.a_end; ++i) {
        if (a_.raw(a_.message(i).node).size() < kMinMovedBytes || is_reasoning(a_, i) || times(a_, i) > 1) continue;
        for (const Region& other : regions_)
          for (uint32_t j = other.b_begin; j < other.b_end; ++j)
            if (!gone_[i] && !fresh_[j] && a_.message(i).value == b_.message(j).value && times(b_, j) == 1) {
              gone_[i] = fresh_[j] = true;
              first = std::min({first, j, other.b_begin, one.b_begin});
              ++count;
            }
      }
    if (count < 2) {  // one may be said again
      std::fill(gone_.begin(), gone_.end(), false);
      std::fill(fresh_.begin(), fresh_.end(), false);
    } else if (first < b_.messages()) {
      list_.at_node(Kind::kChunkOrder, b_.message(first).node, "messages stand in another order");
    }
  }
  // How often a message is said in a conversation: "yes" may stand anywhere.
  static long times(const KeptRequest& kept, uint32_t message) {
    const auto begin = kept.prompt.units.begin() + kept.first_message;
    return std::count_if(begin, kept.prompt.units.end(),
                         [&](const Unit& unit) { return unit.value == kept.message(message).value; });
  }
  Region without_moved(Region region) const {
    while (region.a_begin < region.a_end && gone_[region.a_begin]) ++region.a_begin;
    while (region.a_begin < region.a_end && gone_[region.a_end - 1]) --region.a_end;
    while (region.b_begin < region.b_end && fresh_[region.b_begin]) ++region.b_begin;
    while (region.b_begin < region.b_end && fresh_[region.b_end - 1]) --region.b_end;
    return region;
  }

  static bool is_reasoning(const KeptRequest& kept, uint32_t message) {
    return string_member(kept.tape(), kept.body(), kept.message(message).node, "type") == "reasoning";
  }
  // Reasoning items of the responses dialect that are gone or came back.
  Region without_reasoning(Region region) {
    bool stripped = false;
    const bool more = region.b_end < b_.messages() || region.a_end < a_.messages();
    while (region.a_begin < region.a_end && is_reasoning(a_, region.a_begin)) ++region.a_begin, stripped = true;
    if (region.a_end < a_.messages())
      while (region.b_begin < region.b_end && is_reasoning(b_, region.b_begin)) ++region.b_begin, stripped = true;
    const bool cut = region.a_end - region.a_begin > region.b_end - region.b_begin;  // gone with all around it
    if (stripped && !cut && (more || region.b_begin < region.b_end))
      list_.at_node(Kind::kReasoningStripped, b_.message(std::min(region.b_begin, b_.messages() - 1)).node);
    return region;
  }

  // False: from here on it is another conversation, and nothing more is to be said.
  bool differing(const Region& region) {
    const uint32_t was = region.a_end - region.a_begin, is = region.b_end - region.b_begin;
    const bool tail = region.a_end == a_.messages();
    if (was == 0) {
      if (is > 0 && !tail) edited(region.b_begin, "messages were put in");
      return true;
    }
    if (is == 0) {
      if (tail) return true;  // taken back, or asked again
      removed(region);
      return true;
    }
    if (tail) return tail_differs(region);
    unequal(region);
    return true;
  }

  // What stands in both, though changed; then what is in one alone.
  void unequal(const Region& region) {
    std::vector<std::pair<uint32_t, uint32_t>> pairs;
    if (region.a_end - region.a_begin == region.b_end - region.b_begin) {
      for (uint32_t i = 0; i < region.a_end - region.a_begin; ++i)
        pairs.emplace_back(region.a_begin + i, region.b_begin + i);
    } else {
      pairs = matched_from_the_end(region);
    }
    for (const auto& [i, j] : pairs) message_leaves(list_, a_.message(i), b_.message(j));
    const auto paired = static_cast<uint32_t>(pairs.size());
    const uint32_t gone = region.a_end - region.a_begin - paired, put_in = region.b_end - region.b_begin - paired;
    if (gone > 0 && region.a_begin <= 1 && (pairs.empty() || pairs.front().first > region.a_begin)) {
      if (put_in > 0)
        summed_up_or_cut(region);
      else
        removed({region.a_begin, region.a_begin + gone, region.b_begin, region.b_begin});
    } else if (gone + put_in > 0) {
      edited(std::min(region.b_begin, b_.messages() - 1), "messages were put in or taken out");
    }
  }
  std::vector<std::pair<uint32_t, uint32_t>> matched_from_the_end(const Region& region) const {
    std::vector<std::pair<uint32_t, uint32_t>> pairs;
    uint32_t i = region.a_end;
    for (uint32_t j = region.b_end; j > region.b_begin && region.a_end - region.a_begin <= kMaxMatched; --j)
      for (uint32_t match = i; match > region.a_begin; --match)
        if (similar(match - 1, j - 1)) {
          pairs.emplace_back(match - 1, j - 1);
          i = match - 1;
          break;
        }
    std::reverse(pairs.begin(), pairs.end());
    return pairs;
  }

  // Nothing of the past comes after: an edit, if what stands there is still the same message and more follows.
  bool tail_differs(const Region& region) {
    for (uint32_t i = region.a_begin, j = region.b_begin; i < region.a_end && j + 1 < region.b_end; ++i, ++j) {
      if (a_.message(i).role != b_.message(j).role || !similar(i, j)) return false;
      if (i + 1 == a_.messages() && a_.message(i).role == Role::kAssistant) return false;  // a prefill, completed
      message_leaves(list_, a_.message(i), b_.message(j));
    }
    return true;
  }

  bool similar(uint32_t i, uint32_t j) const {
    const Unit &was = a_.message(i), &is = b_.message(j);
    if (was.role != is.role) return false;
    if (const std::string id = call_id(a_, was.node); !id.empty() && id == call_id(b_, is.node)) return true;
    return !compare_text(text_of_message(a_, was), text_of_message(b_, is)).rewritten;
  }
  // The id that ties a result to its call.
  static std::string call_id(const KeptRequest& kept, uint32_t node) {
    for (const std::string_view name : {"tool_call_id", "call_id"})
      if (std::string id = string_member(kept.tape(), kept.body(), node, name); !id.empty()) return id;
    const uint32_t content = kept.tape().find(kept.body(), node, "content");
    if (content == kNoNode || kept.tape()[content].type != llm::JsonType::kArray ||
        kept.tape()[content].children == 0)
      return {};
    return string_member(kept.tape(), kept.body(), content + 1, "tool_use_id");
  }

  void removed(const Region& region) {
    const uint32_t node = b_.message(std::min(region.b_begin, b_.messages() - 1)).node;
    const uint32_t count = region.a_end - region.a_begin;
    const Kind kind = region.a_begin <= 1 ? Kind::kFrontTruncation : Kind::kHistoryEdited;
    Break& made = list_.at_node(kind, node, fmt::format("{} message{} gone", count, count == 1 ? " is" : "s are"));
    made.place = "history";
  }
  void summed_up_or_cut(const Region& region) {
    const bool summary = is_summary(text_of_message(b_, b_.message(region.b_begin)));
    Break& made = list_.at_node(summary ? Kind::kCompaction : Kind::kFrontTruncation, b_.message(region.b_begin).node,
                                fmt::format("{} messages gave way to {}", region.a_end - region.a_begin,
                                            summary ? "a summary" : "another beginning"));
    made.place = "history";
  }
  void edited(uint32_t message, std::string detail) {
    Break& made = list_.at_node(Kind::kHistoryEdited, b_.message(message).node, std::move(detail));
    made.place = "history";
  }

  BreakList& list_;
  const KeptRequest &a_, &b_;
  std::vector<Region> regions_;
  std::vector<bool> gone_, fresh_;  // messages that have only moved
};

// The first new message is the answer to the last request: did it lose its reasoning?
void answer_without_reasoning(BreakList& list) {
  const KeptRequest &before = list.pair().before, &now = list.pair().now;
  const uint32_t index = before.messages();
  if (index >= now.messages() || now.message(index).role != Role::kAssistant) return;
  if (now.history[index - 1] != before.history.back()) return;
  const uint32_t node = now.message(index).node;
  const std::string_view raw = now.raw(node);
  const auto mentions = [&](std::string_view text) { return raw.find(text) != std::string_view::npos; };
  const bool lost = (before.answer.thinking_parts && !mentions("\"thinking\"") && !mentions("redacted_thinking")) ||
                    (before.answer.reasoning_items && !is_type(now, node, "reasoning")) ||
                    (before.answer.inline_think && !mentions("<think>"));
  if (lost) list.at_node(Kind::kReasoningStripped, node, "the answer held reasoning; the history does not");
}

}  // namespace

void compare_history(BreakList& list) {
  if (list.pair().before.messages() == 0 || list.pair().now.messages() == 0) return;
  HistoryComparison(list).run();
  answer_without_reasoning(list);
}

bool compare_compaction(BreakList& list) {
  const auto holds = [](const std::string& text, const std::string& line) {
    return line.size() >= kProbeBytes && text.find(std::string_view(line).substr(0, 200)) != std::string::npos;
  };
  const KeptRequest &before = list.pair().before, &now = list.pair().now;
  if (before.messages() < 2 || now.messages() == 0) return false;
  // As one text: most of what was said stands in the last message.
  const std::string all = text_of_message(now, now.message(now.messages() - 1)) +
                          (now.messages() > 1 ? text_of_message(now, now.message(0)) : std::string());
  uint32_t known = 0, asked = 0;
  for (uint32_t i = 0; i < before.messages() && asked < 12; ++i) {
    std::string text = text_of_message(before, before.message(i));
    while (text.ends_with('\n')) text.pop_back();
    if (text.size() < kProbeBytes) continue;
    ++asked;
    known += holds(all, text.substr(0, text.find('\n'))) || holds(all, text.substr(text.rfind('\n') + 1)) ? 1 : 0;
  }
  if (asked >= 2 && known * 3 >= asked * 2) {
    list.at_node(Kind::kCompaction, now.message(now.messages() > 1 && is_summary(all) ? 0 : now.messages() - 1).node,
                 "the history of a live session stands in it as text");
    return true;
  }
  return false;
}

}  // namespace payonce::prefix
