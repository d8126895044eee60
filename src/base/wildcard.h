// Patterns with '*' for any run of characters, also none: names of models, paths.  Threads: pure function.
#pragma once

#include <functional>
#include <string_view>

namespace payonce::base {

// `same(a, b)`: two characters count as equal. Greedy, with one step back to the last '*': enough where there is no
// other wildcard.
template <typename Same = std::equal_to<char>>
bool matches_wildcard(std::string_view pattern, std::string_view text, Same same = {}) {
  size_t p = 0, t = 0, star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && same(pattern[p], text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == std::string_view::npos;
}

}  // namespace payonce::base
