// The vocabulary ordered by beginnings: a grammar that refuses "{" refuses every token that begins with it, so a mask
// asks the grammar about few tokens where little is allowed.
// Threads: built by one, then const.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace payonce::engine {

struct TokenTree {
  struct Node {
    int32_t token = 0;
    int32_t parent = -1;  // index of the node whose text is the longest proper beginning of this one's; -1: none
  };
  std::vector<Node> tokens;                       // by level: parents stand before their children
  std::vector<std::pair<size_t, size_t>> levels;  // [first, last) of each level in `tokens`
  int32_t never = -1;                             // a token that no grammar allows (it begins with NUL); -1: none

  // `pieces`: the text of each token. Those listed in `apart` (end tokens) get no parent and are none.
  static TokenTree make(std::span<const std::string> pieces, std::span<const int32_t> apart);
};

}  // namespace payonce::engine
