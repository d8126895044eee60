#include "prefix/prompt/value_hash.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "identity/canonical_number.h"

namespace payonce::prefix {
namespace {

using base::Hash128;
using llm::JsonType;

std::string_view decoded(const Value& value, uint32_t node, std::string& storage) {
  const llm::JsonNode& string = value.tape[node];
  if (!string.escaped) return value.text.substr(string.begin + 1, string.size - 2);
  storage = value.tape.decoded(value.text, node);
  return storage;
}

struct Member {
  Hash128 name, value;
  bool operator<(const Member& other) const {
    return name.low != other.name.low ? name.low < other.name.low : name.high < other.name.high;
  }
};

class Hasher {
 public:
  Hasher(const base::KeyedHash& hash, const Value& value) : hash_(hash), value_(value) {}

  Hash128 operator()(uint32_t node, bool without_markers) {
    const llm::JsonNode& at = value_.tape[node];
    switch (at.type) {
      case JsonType::kObject: return object(node, without_markers);
      case JsonType::kArray: return array(node);
      case JsonType::kString: return hash_.parts<2>({"s", decoded(value_, node, storage_)});
      case JsonType::kNumber:
        storage_.clear();
        identity::append_canonical_number(storage_, value_.tape.raw(value_.text, node));
        return hash_.parts<2>({"#", storage_});
      case JsonType::kTrue: return hash_("t");
      case JsonType::kFalse: return hash_("f");
      case JsonType::kNull: return hash_("n");
    }
    return {};
  }

 private:
  Hash128 object(uint32_t node, bool without_markers) {
    const size_t begin = members_.size();
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < value_.tape[node].children; ++i, at = value_.tape[at + 1].next) {
      const std::string_view name = decoded(value_, at, storage_);
      if (without_markers && is_marker_name(name)) continue;
      const Hash128 name_hash = hash_(name);
      members_.push_back({name_hash, (*this)(at + 1, false)});
    }
    // Two members of one name keep their order: providers differ in which one they take.
    std::stable_sort(members_.begin() + static_cast<ptrdiff_t>(begin), members_.end());
    const std::string_view all(reinterpret_cast<const char*>(members_.data() + begin),
                               (members_.size() - begin) * sizeof(Member));
    const Hash128 out = hash_.parts<2>({"{", all});
    members_.resize(begin);
    return out;
  }

  Hash128 array(uint32_t node) {
    const size_t begin = elements_.size();
    uint32_t at = node + 1;
    for (uint32_t i = 0; i < value_.tape[node].children; ++i, at = value_.tape[at].next) {
      const Hash128 element = (*this)(at, false);
      elements_.push_back(element);
    }
    const std::string_view all(reinterpret_cast<const char*>(elements_.data() + begin),
                               (elements_.size() - begin) * sizeof(Hash128));
    const Hash128 out = hash_.parts<2>({"[", all});
    elements_.resize(begin);
    return out;
  }

  const base::KeyedHash& hash_;
  const Value& value_;
  std::vector<Member> members_;  // a stack
  std::vector<Hash128> elements_;
  std::string storage_;
};

// The value of the `which`-th member of that name.
uint32_t member(const Value& object, std::string_view name, uint32_t which, std::string& storage) {
  uint32_t at = object.node + 1;
  for (uint32_t i = 0; i < object.tape[object.node].children; ++i, at = object.tape[at + 1].next)
    if (decoded(object, at, storage) == name && which-- == 0) return at + 1;
  return llm::Tape::kNone;
}

uint32_t members(const Value& object, bool without_markers, std::string& storage) {
  uint32_t out = 0, at = object.node + 1;
  for (uint32_t i = 0; i < object.tape[object.node].children; ++i, at = object.tape[at + 1].next)
    out += without_markers && is_marker_name(decoded(object, at, storage)) ? 0 : 1;
  return out;
}

using Named = std::pair<std::string, uint32_t>;  // name, value

std::vector<Named> sorted_members(const Value& object, bool without_markers) {
  std::vector<Named> out;
  uint32_t at = object.node + 1;
  for (uint32_t i = 0; i < object.tape[object.node].children; ++i, at = object.tape[at + 1].next) {
    std::string name = object.tape.decoded(object.text, at);
    if (!without_markers || !is_marker_name(name)) out.emplace_back(std::move(name), at + 1);
  }
  std::stable_sort(out.begin(), out.end(), [](const Named& a, const Named& b) { return a.first < b.first; });
  return out;
}

bool same_large_object(const Value& a, const Value& b, int markers_to_depth) {
  const auto of_a = sorted_members(a, markers_to_depth > 0), of_b = sorted_members(b, markers_to_depth > 0);
  const auto same = [&](const Named& left, const Named& right) {
    return left.first == right.first &&
           same_value({a.tape, a.text, left.second}, {b.tape, b.text, right.second}, markers_to_depth - 1);
  };
  return std::equal(of_a.begin(), of_a.end(), of_b.begin(), of_b.end(), same);
}

// Most objects are small: each member is looked for in the other. Two members of one name keep their order.
constexpr uint32_t kSmallObject = 32;  // members

bool same_object(const Value& a, const Value& b, int markers_to_depth) {
  std::string storage_a, storage_b;
  const bool without = markers_to_depth > 0;
  if (a.tape[a.node].children > kSmallObject) return same_large_object(a, b, markers_to_depth);
  if (members(a, without, storage_a) != members(b, without, storage_b)) return false;
  uint32_t at = a.node + 1;
  for (uint32_t i = 0; i < a.tape[a.node].children; ++i, at = a.tape[at + 1].next) {
    const std::string_view name = decoded(a, at, storage_a);
    if (without && is_marker_name(name)) continue;
    uint32_t which = 0, before = a.node + 1;
    std::string storage;
    for (uint32_t j = 0; j < i; ++j, before = a.tape[before + 1].next)
      which += decoded(a, before, storage) == name ? 1 : 0;
    const uint32_t other = member(b, name, which, storage_b);
    if (other == llm::Tape::kNone ||
        !same_value({a.tape, a.text, at + 1}, {b.tape, b.text, other}, markers_to_depth - 1))
      return false;
  }
  return true;
}

bool same_number(const Value& a, const Value& b) {
  std::string one, other;
  identity::append_canonical_number(one, a.tape.raw(a.text, a.node));
  identity::append_canonical_number(other, b.tape.raw(b.text, b.node));
  return one == other;
}

}  // namespace

bool is_marker_name(std::string_view member) {
  return member == "cache_control" || member == "prompt_cache_breakpoint";
}

base::Hash128 value_hash(const base::KeyedHash& hash, const Value& value, bool without_markers) {
  return Hasher(hash, value)(value.node, without_markers);
}

bool same_value(const Value& a, const Value& b, int markers_to_depth) {
  const llm::JsonNode &left = a.tape[a.node], &right = b.tape[b.node];
  if (left.type != right.type) return false;
  std::string storage_a, storage_b;
  switch (left.type) {
    case JsonType::kString: return decoded(a, a.node, storage_a) == decoded(b, b.node, storage_b);
    case JsonType::kNumber: return same_number(a, b);
    case JsonType::kTrue:
    case JsonType::kFalse:
    case JsonType::kNull: return true;
    case JsonType::kArray: {
      if (left.children != right.children) return false;
      uint32_t at_a = a.node + 1, at_b = b.node + 1;
      for (uint32_t i = 0; i < left.children; ++i, at_a = a.tape[at_a].next, at_b = b.tape[at_b].next)
        if (!same_value({a.tape, a.text, at_a}, {b.tape, b.text, at_b}, markers_to_depth - 1)) return false;
      return true;
    }
    case JsonType::kObject: break;
  }
  return same_object(a, b, markers_to_depth);
}

}  // namespace payonce::prefix
