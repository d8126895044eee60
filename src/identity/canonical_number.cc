#include "identity/canonical_number.h"

#include <fmt/format.h>

#include <cstdint>
#include <iterator>

namespace payonce::identity {

void append_canonical_number(std::string& out, std::string_view raw) {
  const bool negative = raw.starts_with('-');
  std::string_view rest = raw.substr(negative ? 1 : 0);
  int64_t exponent = 0;
  if (const size_t mark = rest.find_first_of("eE"); mark != std::string_view::npos) {
    std::string_view text = rest.substr(mark + 1);
    const bool down = text.starts_with('-');
    if (down || text.starts_with('+')) text.remove_prefix(1);
    if (text.size() > 15) {
      out.append(raw);
      return;
    }
    for (const char c : text) exponent = exponent * 10 + (c - '0');
    if (down) exponent = -exponent;
    rest = rest.substr(0, mark);
  }
  const size_t dot = rest.find('.');
  std::string digits(rest.substr(0, dot));
  if (dot != std::string_view::npos) {
    digits += rest.substr(dot + 1);
    exponent -= static_cast<int64_t>(rest.size() - dot - 1);
  }
  const size_t first = digits.find_first_not_of('0');
  if (first == std::string::npos) {
    out += '0';
    return;
  }
  const size_t last = digits.find_last_not_of('0');
  exponent += static_cast<int64_t>(digits.size() - 1 - last);
  if (negative) out += '-';
  out.append(digits, first, last - first + 1);
  fmt::format_to(std::back_inserter(out), "e{}", exponent);
}

}  // namespace payonce::identity
