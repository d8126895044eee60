// For tests only: bytes as documents of formats write them.
#pragma once

#include <string>
#include <string_view>

#include "base/ascii.h"

namespace payonce::seal {

inline std::string from_hex(std::string_view text) {
  std::string out;
  for (size_t i = 0; i + 1 < text.size(); i += 2)
    out += static_cast<char>(base::hex_value(text[i]) * 16 + base::hex_value(text[i + 1]));
  return out;
}

}  // namespace payonce::seal
