#include "engine/model/json_depth.h"

#include <algorithm>

namespace payonce::engine {

int nesting_depth(std::string_view text) {
  int depth = 0, deepest = 0;
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && (c == '(' || c == '[' || c == '{')) {
      deepest = std::max(deepest, ++depth);
    } else if (!quoted && depth > 0 && (c == ')' || c == ']' || c == '}')) {
      --depth;
    }
  }
  return deepest;
}

}  // namespace payonce::engine
