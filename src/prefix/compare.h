// What keeps one request from being another, or from beginning like it: part by part, for people.
// Threads: pure function.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

struct Difference {
  std::string path;          // "system[1].text", "tools", "messages[4].content", "temperature"
  std::string what;          // "text differs", "other order", "not there before", …
  int64_t byte_offset = -1;  // in the newer body, of the first byte that differs; -1: nowhere in it
  std::string before, now;   // some bytes around that place; empty where there is no text
};

struct Comparison {
  uint32_t common_tokens = 0;           // estimate: of the prefix that both have
  std::vector<Difference> differences;  // at most kMaxDifferences, in the order of the prefix, parameters first
};
inline constexpr size_t kMaxDifferences = 16;

Comparison compare(const Prompt& before, const Prompt& now, const base::KeyedHash& hash);

}  // namespace payonce::prefix
