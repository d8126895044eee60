#include "prefix/compare.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "base/utf8.h"
#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {
namespace {

constexpr size_t kShown_bytes = 40;  // on either side of a difference

std::string around(std::string_view text, size_t at) {
  const size_t begin = base::character_start(text, at > kShown_bytes ? at - kShown_bytes : 0);
  return std::string(
      text.substr(begin, base::character_start(text, std::min(text.size(), at + kShown_bytes)) - begin));
}

class Comparer {
 public:
  Comparer(const Prompt& before, const Prompt& now, const base::KeyedHash& hash)
      : before_(before), now_(now), hash_(hash) {}

  Comparison compare() {
    for (size_t i = 0; i < before_.blocks.size() && i < now_.blocks.size(); ++i) {
      if (!(before_.blocks[i].chain == now_.blocks[i].chain)) break;
      out_.common_tokens = now_.blocks[i].tokens_through;
    }
    parameters();
    tools();
    units(Section::kSystem);
    units(Section::kMessages);
    return std::move(out_);
  }

 private:
  using Members = std::map<std::string, uint32_t>;

  void add(Difference difference) {
    if (out_.differences.size() < kMaxDifferences) out_.differences.push_back(std::move(difference));
  }
  static Members members_of(const Prompt& prompt) {
    Members out;
    const llm::Request& request = *prompt.request;
    uint32_t at = 1;
    for (uint32_t i = 0; i < request.tape[0].children; ++i, at = request.tape[at + 1].next)
      out[request.tape.decoded(request.body.view(), at)] = at + 1;
    for (const char* part : {"tools", "system", "instructions", "messages", "input"}) out.erase(part);
    return out;
  }
  base::Hash128 value(const Prompt& prompt, uint32_t node) const {
    return value_hash(hash_, {prompt.request->tape, prompt.request->body.view(), node});
  }
  int64_t offset(uint32_t node) const { return now_.request->tape[node].begin; }

  void parameters() {
    const Members before = members_of(before_), now = members_of(now_);
    for (const auto& [name, node] : now) {
      const auto known = before.find(name);
      if (known == before.end())
        add({.path = name, .what = "not there before", .byte_offset = offset(node), .now = shown(now_, node)});
      else if (!(value(before_, known->second) == value(now_, node)))
        add({.path = name,
             .what = "another value",
             .byte_offset = offset(node),
             .before = shown(before_, known->second),
             .now = shown(now_, node)});
    }
    for (const auto& [name, node] : before)
      if (!now.contains(name)) add({.path = name, .what = "no longer there", .before = shown(before_, node)});
  }
  static std::string shown(const Prompt& prompt, uint32_t node) { return around(prompt.raw(node), 0); }

  std::vector<const Unit*> of(const Prompt& prompt, Section section) const {
    std::vector<const Unit*> out;
    for (const Unit& unit : prompt.units)
      if (unit.section == section) out.push_back(&unit);
    return out;
  }
  static bool same(const Unit* a, const Unit* b) { return a->value == b->value; }

  void tools() {
    const auto before = of(before_, Section::kTools), now = of(now_, Section::kTools);
    if (std::equal(before.begin(), before.end(), now.begin(), now.end(), same)) return;
    if (before.size() == now.size() && std::is_permutation(before.begin(), before.end(), now.begin(), same))
      return add({.path = "tools", .what = "other order", .byte_offset = offset(now_.tools_node)});
    for (size_t i = 0; i < now.size(); ++i)
      if (std::none_of(before.begin(), before.end(), [&](const Unit* unit) { return same(unit, now[i]); }))
        add({.path = fmt::format("tools[{}]", i),
             .what = i < before.size() ? "another tool, or other words" : "a tool more",
             .byte_offset = offset(now[i]->node),
             .before = i < before.size() ? shown(before_, before[i]->node) : "",
             .now = shown(now_, now[i]->node)});
    if (now.size() < before.size())
      add({.path = "tools", .what = fmt::format("{} fewer", before.size() - now.size())});
  }

  void units(Section section) {
    const auto before = of(before_, section), now = of(now_, section);
    for (size_t i = 0; i < std::max(before.size(), now.size()); ++i) {
      if (i >= now.size()) return add({.path = place(before_, *before[i]), .what = "no longer there"});
      if (i >= before.size())
        return add({.path = place(now_, *now[i]), .what = "not there before", .byte_offset = offset(now[i]->node)});
      if (same(before[i], now[i])) continue;
      blocks(*before[i], *now[i]);
      if (section == Section::kMessages) return;  // what follows is compared with nothing of use
    }
  }

  static std::string place(const Prompt& prompt, const Unit& unit) {
    return path_of(prompt, prompt.blocks[unit.first_block]);
  }

  void blocks(const Unit& before, const Unit& now) {
    for (uint32_t i = 0; i < now.blocks; ++i) {
      const Block& block = now_.blocks[now.first_block + i];
      if (i >= before.blocks)
        return add({.path = path_of(now_, block), .what = "not there before", .byte_offset = offset(block.node)});
      const Block& old = before_.blocks[before.first_block + i];
      if (!(old.value == block.value)) texts(old, block);
    }
    if (before.blocks > now.blocks)
      add({.path = place(now_, now), .what = fmt::format("{} parts fewer", before.blocks - now.blocks)});
  }

  // The raw bytes, from where they part.
  void texts(const Block& before, const Block& now) {
    const bool both = before.text_node != kNoNode && now.text_node != kNoNode;
    const uint32_t node_before = both ? before.text_node : before.node, node = both ? now.text_node : now.node;
    const std::string_view a = before_.raw(node_before), b = now_.raw(node);
    const auto at = static_cast<size_t>(std::mismatch(a.begin(), a.end(), b.begin(), b.end()).second - b.begin());
    add({.path = path_of(now_, now),
         .what = both ? "text differs" : "differs",
         .byte_offset = offset(node) + static_cast<int64_t>(at),
         .before = around(a, at),
         .now = around(b, at)});
  }

  const Prompt& before_;
  const Prompt& now_;
  const base::KeyedHash& hash_;
  Comparison out_;
};

}  // namespace

Comparison compare(const Prompt& before, const Prompt& now, const base::KeyedHash& hash) {
  return Comparer(before, now, hash).compare();
}

}  // namespace payonce::prefix
