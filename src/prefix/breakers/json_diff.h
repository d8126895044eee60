// Where two JSON values differ, in what they say or only in how it is written. Cache markers do not count.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "prefix/prompt/value_hash.h"

namespace payonce::prefix {

struct Leaf {
  enum class What : uint8_t {
    kText,        // both are strings
    kOther,       // scalars of another value, or of another type
    kMissing,     // in a alone; b_node: what it was part of
    kAdded,       // in b alone; a_node: what it would be part of
    kKeyOrder,    // equal names, another order
    kArrayOrder,  // equal elements, another order; b_node: the first that stands elsewhere
    kSpelling,    // equal values in other bytes
  };
  What what;
  uint32_t a_node, b_node;
  std::string name;  // of the member (kMissing, kAdded, kText, kOther); "" in arrays
};

inline constexpr size_t kMaxLeaves = 256;  // of one comparison; the rest is not looked at

std::vector<Leaf> differing_leaves(const Value& a, const Value& b);

// Where two texts hold equal JSON objects or lists: what differs in their bytes.
enum class JsonText : uint8_t { kNotEqual, kKeyOrder, kSpelling };
JsonText compare_json_texts(const std::string& a, const std::string& b);

}  // namespace payonce::prefix
