#include "base/terminal.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/utf8.h"

namespace payonce::base {

bool is_acting(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x2028 && code <= 0x202E) ||
         (code >= 0x2066 && code <= 0x2069) || code == 0x200E || code == 0x200F || code == 0x061C || code == 0xFEFF;
}

std::string for_terminal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const auto [size, code] = front_character(text);
    if (size == 0)
      out += "\\ufffd";
    else if (code != '\n' && code != '\t' && is_acting(code))
      out += fmt::format("\\u{:04x}", code);
    else
      out += text.substr(0, size);
    text.remove_prefix(std::max<size_t>(size, 1));
  }
  return out;
}

}  // namespace payonce::base
