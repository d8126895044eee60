// For tests only: questions without an embedder.
#pragma once

#include <string_view>

#include "semantic/verifier/verifier.h"

namespace payonce::semantic {

inline Question question(std::string_view text) { return make_question(text, {}); }

inline Conflict conflict_of(std::string_view a, std::string_view b) {
  const Text first = analyse(a);
  const Text second = analyse(b);
  return conflict(first, second, difference(first, second));
}

}  // namespace payonce::semantic
