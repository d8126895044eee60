#include "prefix/breakers/json_diff.h"

#include <algorithm>
#include <map>

#include "prefix/breakers/differences.h"

namespace payonce::prefix {
namespace {

using llm::JsonType;
using llm::Tape;

struct Member {
  std::string name;
  uint32_t value;
};

class Walk {
 public:
  Walk(const Value& a, const Value& b) : a_(a), b_(b) {}

  // True when the bytes differ and nothing was found that says why: then spelling did.
  bool compare(uint32_t a, uint32_t b, const std::string& name) {
    if (raw_a(a) == raw_b(b) || out.size() >= kMaxLeaves) return false;
    const JsonType type = a_.tape[a].type, other = b_.tape[b].type;
    if (type == JsonType::kObject && other == type) return objects(a, b);
    if (type == JsonType::kArray && other == type) return arrays(a, b);
    // A content that is a text, and one that is a list of that one text, say the same.
    const uint32_t text_a = only_text(a_, a), text_b = only_text(b_, b);
    if (text_a != Tape::kNone && text_b != Tape::kNone) {
      if (a_.tape.decoded(a_.text, text_a) != b_.tape.decoded(b_.text, text_b))
        add(Leaf::What::kText, text_a, text_b, name);
      else if (text_a == a && text_b == b)
        return true;
      return false;
    }
    if (type == other && type == JsonType::kNumber && same_value({a_.tape, a_.text, a}, {b_.tape, b_.text, b}))
      return true;
    add(Leaf::What::kOther, a, b, name);
    return false;
  }

  void add(Leaf::What what, uint32_t a, uint32_t b, std::string name) {
    if (out.size() < kMaxLeaves) out.push_back({what, a, b, std::move(name)});
  }

  std::vector<Leaf> out;

 private:
  std::string_view raw_a(uint32_t node) const { return a_.tape.raw(a_.text, node); }
  std::string_view raw_b(uint32_t node) const { return b_.tape.raw(b_.text, node); }

  static uint32_t only_text(const Value& of, uint32_t node) {
    const Tape& tape = of.tape;
    if (tape[node].type == JsonType::kString) return node;
    if (tape[node].type != JsonType::kArray || tape[node].children != 1 || tape[node + 1].type != JsonType::kObject)
      return Tape::kNone;
    const uint32_t text = tape.find(of.text, node + 1, "text");
    return text != Tape::kNone && tape[text].type == JsonType::kString ? text : Tape::kNone;
  }

  static std::vector<Member> members(const Value& of, uint32_t object, bool& marked) {
    std::vector<Member> out;
    uint32_t at = object + 1;
    for (uint32_t i = 0; i < of.tape[object].children; ++i, at = of.tape[at + 1].next) {
      std::string name = of.tape.decoded(of.text, at);
      if (is_marker_name(name))
        marked = true;
      else
        out.push_back({std::move(name), at + 1});
    }
    return out;
  }

  bool objects(uint32_t a, uint32_t b) {
    bool marked = false;
    const std::vector<Member> of_a = members(a_, a, marked), of_b = members(b_, b, marked);
    std::map<std::string_view, uint32_t> in_a;  // name → index
    for (uint32_t i = 0; i < of_a.size(); ++i) in_a[of_a[i].name] = i;
    std::vector<uint32_t> order;
    bool spelled = false;
    const size_t before = out.size();
    for (const Member& member : of_b) {
      const auto it = in_a.find(member.name);
      if (it == in_a.end()) {
        add(Leaf::What::kAdded, a, member.value, member.name);
        continue;
      }
      order.push_back(it->second);
      spelled = compare(of_a[it->second].value, member.value, member.name) || spelled;
      in_a.erase(it);
    }
    for (const auto& [name, index] : in_a)
      if (of_a[index].name == name) add(Leaf::What::kMissing, of_a[index].value, b, std::string(name));
    if (!std::is_sorted(order.begin(), order.end())) {
      add(Leaf::What::kKeyOrder, a, b, {});
      return false;
    }
    return spelled || (out.size() == before && !marked && !only_inner(of_a, of_b));
  }
  // The bytes differ inside members alone, and those have told why (or markers have).
  bool only_inner(const std::vector<Member>& of_a, const std::vector<Member>& of_b) const {
    for (size_t i = 0; i < std::min(of_a.size(), of_b.size()); ++i)
      if (raw_a(of_a[i].value) != raw_b(of_b[i].value)) return true;
    return false;
  }

  bool arrays(uint32_t a, uint32_t b) {
    const std::vector<uint32_t> of_a = elements(a_, a), of_b = elements(b_, b);
    if (const uint32_t moved = permuted(of_a, of_b); moved != Tape::kNone) {
      add(Leaf::What::kArrayOrder, a, moved, {});
      return false;
    }
    const auto equal = [&](uint32_t i, uint32_t j) { return raw_a(of_a[i]) == raw_b(of_b[j]); };
    bool spelled = false, inner = false;
    for (const Region& region :
         differing_regions(static_cast<uint32_t>(of_a.size()), static_cast<uint32_t>(of_b.size()), equal)) {
      inner = true;
      const uint32_t both = std::min(region.a_end - region.a_begin, region.b_end - region.b_begin);
      std::vector<std::pair<uint32_t, uint32_t>> pairs = pair_up(region, of_a, of_b, both);
      for (const auto& [i, j] : pairs) {
        if (i == Tape::kNone)
          add(Leaf::What::kAdded, a, of_b[j], {});
        else if (j == Tape::kNone)
          add(Leaf::What::kMissing, of_a[i], b, {});
        else
          spelled = compare(of_a[i], of_b[j], {}) || spelled;
      }
    }
    return spelled || !inner;
  }

  // Elements of a region, each with the one of its own "type" where the lists differ in length.
  std::vector<std::pair<uint32_t, uint32_t>> pair_up(const Region& region, const std::vector<uint32_t>& of_a,
                                                     const std::vector<uint32_t>& of_b, uint32_t both) const {
    std::vector<std::pair<uint32_t, uint32_t>> out_pairs;
    if (region.a_end - region.a_begin == region.b_end - region.b_begin) {
      for (uint32_t i = 0; i < both; ++i) out_pairs.emplace_back(region.a_begin + i, region.b_begin + i);
      return out_pairs;
    }
    uint32_t j = region.b_begin;
    for (uint32_t i = region.a_begin; i < region.a_end; ++i) {
      uint32_t match = j;
      while (match < region.b_end && type_of(a_, of_a[i]) != type_of(b_, of_b[match])) ++match;
      if (match == region.b_end) {
        out_pairs.emplace_back(i, Tape::kNone);
        continue;
      }
      for (; j < match; ++j) out_pairs.emplace_back(Tape::kNone, j);
      out_pairs.emplace_back(i, j++);
    }
    for (; j < region.b_end; ++j) out_pairs.emplace_back(Tape::kNone, j);
    return out_pairs;
  }
  static std::string type_of(const Value& of, uint32_t node) {
    if (of.tape[node].type != JsonType::kObject) return {};
    const uint32_t type = of.tape.find(of.text, node, "type");
    return type == Tape::kNone ? std::string() : of.tape.decoded(of.text, type);
  }

  static std::vector<uint32_t> elements(const Value& of, uint32_t array) {
    std::vector<uint32_t> nodes;
    uint32_t at = array + 1;
    for (uint32_t i = 0; i < of.tape[array].children; ++i, at = of.tape[at].next) nodes.push_back(at);
    return nodes;
  }

  // The first element of b that stands elsewhere, if b holds just the elements of a in another order.
  uint32_t permuted(const std::vector<uint32_t>& of_a, const std::vector<uint32_t>& of_b) const {
    if (of_a.size() != of_b.size() || of_a.size() < 2) return Tape::kNone;
    std::vector<std::string_view> one, other;
    for (const uint32_t node : of_a) one.push_back(raw_a(node));
    for (const uint32_t node : of_b) other.push_back(raw_b(node));
    const size_t first =
        static_cast<size_t>(std::mismatch(one.begin(), one.end(), other.begin()).first - one.begin());
    if (first == one.size()) return Tape::kNone;
    std::sort(one.begin(), one.end());
    std::sort(other.begin(), other.end());
    return one == other ? of_b[first] : Tape::kNone;
  }

  const Value &a_, &b_;
};

}  // namespace

std::vector<Leaf> differing_leaves(const Value& a, const Value& b) {
  Walk walk(a, b);
  if (walk.compare(a.node, b.node, {})) walk.add(Leaf::What::kSpelling, a.node, b.node, {});
  return std::move(walk.out);
}

JsonText compare_json_texts(const std::string& a, const std::string& b) {
  const auto opens = [](const std::string& text) {
    const size_t at = text.find_first_not_of(" \t\r\n");
    return at != std::string::npos && (text[at] == '{' || text[at] == '[');
  };
  if (a == b || !opens(a) || !opens(b)) return JsonText::kNotEqual;
  const auto tape_a = Tape::parse(a), tape_b = Tape::parse(b);
  if (!tape_a || !tape_b || !same_value({*tape_a, a}, {*tape_b, b})) return JsonText::kNotEqual;
  for (const Leaf& leaf : differing_leaves({*tape_a, a, 0}, {*tape_b, b, 0}))
    if (leaf.what == Leaf::What::kKeyOrder) return JsonText::kKeyOrder;
  return JsonText::kSpelling;
}

}  // namespace payonce::prefix
