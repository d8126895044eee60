// Where the first of several characters stands. std::string_view::find_first_of calls memchr once for each character
// of the text; this calls it once for each that is wanted, which shows where every byte of a request passes.
#pragma once

#include <cstring>
#include <string_view>

namespace payonce::base {

// Its place at or behind `from`, or npos.
template <char... Wanted>
size_t find_any(std::string_view text, size_t from = 0) {
  size_t end = text.size();
  const auto look = [&](char wanted) {
    if (from >= end) return;
    if (const void* at = std::memchr(text.data() + from, wanted, end - from))
      end = static_cast<size_t>(static_cast<const char*>(at) - text.data());
  };
  (look(Wanted), ...);
  return end < text.size() ? end : std::string_view::npos;
}

}  // namespace payonce::base
