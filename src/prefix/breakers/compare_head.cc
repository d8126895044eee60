// What stands in front of the messages: tools and system text.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "prefix/breakers/breaks.h"
#include "prefix/breakers/differences.h"
#include "prefix/breakers/json_place.h"
#include "prefix/breakers/pieces.h"
#include "prefix/prompt/unit.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;
using llm::Tape;

struct Tool {
  std::string name;
  const Unit* unit;
};

std::vector<Tool> tools_of(const KeptRequest& kept) {
  std::vector<Tool> out;
  for (const Unit& unit : kept.prompt.units) {
    if (unit.section != Section::kTools) continue;
    std::string name = string_member(kept.tape(), kept.body(), unit.node, "name");
    if (name.empty()) {
      const uint32_t function = kept.tape().find(kept.body(), unit.node, "function");
      if (function != Tape::kNone) name = string_member(kept.tape(), kept.body(), function, "name");
    }
    if (name.empty()) name = string_member(kept.tape(), kept.body(), unit.node, "type");
    out.push_back({std::move(name), &unit});
  }
  return out;
}

void tool_leaf(BreakList& list, const Leaf& leaf, const std::string& tool) {
  const KeptRequest &before = list.pair().before, &now = list.pair().now;
  switch (leaf.what) {
    case Leaf::What::kText:
      if (!list.texts(before.text(leaf.a_node), now.text(leaf.b_node), leaf.b_node, Area::kTools) &&
          list.pair().same_session)
        list.at_node(Kind::kToolSet, leaf.b_node, fmt::format("the definition of '{}' was rewritten", tool));
      return;
    case Leaf::What::kKeyOrder:
    case Leaf::What::kArrayOrder: list.at_node(Kind::kJsonKeyOrder, leaf.b_node); return;
    case Leaf::What::kSpelling: list.at_node(Kind::kWhitespaceDrift, leaf.b_node); return;
    case Leaf::What::kOther:
    case Leaf::What::kMissing:
    case Leaf::What::kAdded:
      if (list.pair().same_session)
        list.at_node(Kind::kToolSet, leaf.b_node, fmt::format("the definition of '{}' changed", tool));
      return;
  }
}

void compare_tool(BreakList& list, const Tool& was, const Tool& is) {
  const KeptRequest &before = list.pair().before, &now = list.pair().now;
  if (before.raw(was.unit->node) == now.raw(is.unit->node)) return;
  for (const Leaf& leaf :
       differing_leaves({before.tape(), before.body(), was.unit->node}, {now.tape(), now.body(), is.unit->node}))
    tool_leaf(list, leaf, is.name);
}

void compare_tool_order(BreakList& list, const std::vector<Tool>& is, const std::vector<uint32_t>& ranks,
                        const std::vector<uint32_t>& at) {
  std::vector<uint32_t> sorted = ranks;
  std::sort(sorted.begin(), sorted.end());
  const size_t first =
      static_cast<size_t>(std::mismatch(ranks.begin(), ranks.end(), sorted.begin()).first - ranks.begin());
  if (first == ranks.size()) return;
  Break& made = list.at_node(Kind::kToolOrder, is[at[first]].unit->node);
  made.place = "tools";
  made.after = is[at[first]].name;
}

std::vector<uint32_t> system_blocks(const KeptRequest& kept) {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < kept.prompt.blocks.size(); ++i)
    if (kept.prompt.blocks[i].section == Section::kSystem && kept.prompt.blocks[i].text_node != kNoNode)
      out.push_back(i);
  return out;
}

class SystemComparison {
 public:
  explicit SystemComparison(BreakList& list)
      : list_(list),
        a_(list.pair().before),
        b_(list.pair().now),
        of_a_(system_blocks(a_)),
        of_b_(system_blocks(b_)) {}

  void run() {
    if (permuted()) return;
    const auto equal = [&](uint32_t i, uint32_t j) { return block_a(i).value == block_b(j).value; };
    for (const Region& region :
         differing_regions(static_cast<uint32_t>(of_a_.size()), static_cast<uint32_t>(of_b_.size()), equal))
      differing(region);
  }

 private:
  const Block& block_a(uint32_t i) const { return a_.prompt.blocks[of_a_[i]]; }
  const Block& block_b(uint32_t i) const { return b_.prompt.blocks[of_b_[i]]; }
  std::string text_a(uint32_t i) const { return a_.text(block_a(i).text_node); }
  std::string text_b(uint32_t i) const { return b_.text(block_b(i).text_node); }

  bool permuted() {
    if (of_a_.size() != of_b_.size() || of_a_.size() < 2) return false;
    std::vector<base::Hash128> one, other;
    for (uint32_t i = 0; i < of_a_.size(); ++i) {
      one.push_back(block_a(i).value);
      other.push_back(block_b(i).value);
    }
    const size_t first =
        static_cast<size_t>(std::mismatch(one.begin(), one.end(), other.begin()).first - one.begin());
    if (first == one.size() || !std::is_permutation(one.begin(), one.end(), other.begin())) return false;
    list_.at_node(Kind::kChunkOrder, block_b(static_cast<uint32_t>(first)).text_node);
    return true;
  }

  void differing(const Region& region) {
    uint32_t j = region.b_begin;
    const bool same_count = region.a_end - region.a_begin == region.b_end - region.b_begin;
    for (uint32_t i = region.a_begin; i < region.a_end; ++i) {
      uint32_t match = j;
      if (!same_count)
        while (match < region.b_end && compare_text(text_a(i), text_b(match)).rewritten) ++match;
      if (match >= region.b_end) {
        const uint32_t next = std::min(j, static_cast<uint32_t>(of_b_.size()) - 1);
        if (!of_b_.empty()) list_.lone_text(text_a(i), block_b(next).text_node, false);
        continue;
      }
      for (; j < match; ++j) list_.lone_text(text_b(j), block_b(j).text_node, true);
      const uint32_t node = block_b(j).text_node;
      if (!list_.texts(text_a(i), text_b(j), node, Area::kSystem)) list_.lone_text(text_b(j), node, true);
      ++j;
    }
    for (; j < region.b_end; ++j) list_.lone_text(text_b(j), block_b(j).text_node, true);
  }

  BreakList& list_;
  const KeptRequest &a_, &b_;
  const std::vector<uint32_t> of_a_, of_b_;
};

}  // namespace

void compare_tools(BreakList& list) {
  const Pair& pair = list.pair();
  const std::vector<Tool> was = tools_of(pair.before), is = tools_of(pair.now);
  if (was.empty() && is.empty()) return;
  std::map<std::string_view, uint32_t> by_name;
  for (uint32_t i = 0; i < was.size(); ++i) by_name.emplace(was[i].name, i);
  std::vector<uint32_t> ranks, at;  // of the tools of both: places before, places now
  const Tool* added = nullptr;
  for (uint32_t i = 0; i < is.size(); ++i) {
    const auto it = by_name.find(is[i].name);
    if (it == by_name.end()) {
      if (added == nullptr) added = &is[i];
      continue;
    }
    ranks.push_back(it->second);
    at.push_back(i);
    by_name.erase(it);
  }
  if (pair.same_session && (added != nullptr || !by_name.empty())) {
    uint32_t node = pair.now.prompt.tools_node != kNoNode ? pair.now.prompt.tools_node : 0;
    std::string detail;
    if (added != nullptr) node = added->unit->node, detail = fmt::format("'{}' was added", added->name);
    if (!by_name.empty()) {
      uint32_t gone = UINT32_MAX;
      for (const auto& [name, index] : by_name) gone = std::min(gone, index);
      detail += fmt::format("{}'{}' is gone", detail.empty() ? "" : ", ", was[gone].name);
      if (added == nullptr && gone < is.size()) node = is[gone].unit->node;
    }
    Break& made = list.at_node(Kind::kToolSet, node, detail);
    made.place = "tools";
    if (added == nullptr) made.bytes = 0;
  }
  compare_tool_order(list, is, ranks, at);
  for (size_t i = 0; i < ranks.size(); ++i) compare_tool(list, was[ranks[i]], is[at[i]]);
}

void compare_system(BreakList& list) { SystemComparison(list).run(); }

}  // namespace payonce::prefix
