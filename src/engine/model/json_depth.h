// A guard in front of recursive readers of JSON and GBNF text, which would leave the stack on absurd nesting.
// Threads: pure function.
#pragma once

#include <string_view>

namespace payonce::engine {

inline constexpr int kMaxJsonDepth = 128;

// The deepest nesting of (), [] and {} outside of "…" strings; an upper bound for text that is not well-formed.
int nesting_depth(std::string_view text);

}  // namespace payonce::engine
