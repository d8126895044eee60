#include <algorithm>
#include <charconv>
#include <chrono>

#include "base/ascii.h"
#include "history/json.h"

namespace payonce::history {
namespace {

int digits(std::string_view text, size_t at, size_t count) {
  int out = 0;
  for (size_t i = at; i < at + count; ++i) {
    if (i >= text.size() || text[i] < '0' || text[i] > '9') return -1;
    out = out * 10 + (text[i] - '0');
  }
  return out;
}

}  // namespace

std::optional<int64_t> parse_time_ms(std::string_view text) {
  if (text.size() < 10) return std::nullopt;
  if (text[4] != '-') {
    double value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec != std::errc() || value <= 0)
      return std::nullopt;
    const double ms = value < 1e11 ? value * 1000 : value < 1e14 ? value : value < 1e17 ? value / 1000 : value / 1e6;
    return ms < 9e15 ? std::optional(static_cast<int64_t>(ms)) : std::nullopt;
  }
  const int year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
  if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  int64_t ms = std::chrono::sys_days(date).time_since_epoch().count() * int64_t{86'400'000};
  if (text.size() == 10) return ms;
  const int hour = digits(text, 11, 2), minute = digits(text, 14, 2);
  if (hour < 0 || minute < 0) return std::nullopt;
  ms += (hour * int64_t{60} + minute) * 60'000;
  size_t at = 16;
  if (const int second = digits(text, 17, 2); at < text.size() && text[at] == ':' && second >= 0) {
    ms += second * 1000;
    at = 19;
  }
  if (at < text.size() && text[at] == '.') {
    int64_t scale = 100;
    for (++at; at < text.size() && base::is_digit(text[at]); ++at, scale /= 10) ms += (text[at] - '0') * scale;
  }
  if (at < text.size() && (text[at] == '+' || text[at] == '-')) {
    const int hours = digits(text, at + 1, 2),
              minutes = digits(text, at + (at + 3 < text.size() && text[at + 3] == ':' ? 4 : 3), 2);
    if (hours < 0) return std::nullopt;
    ms -= (text[at] == '+' ? 1 : -1) * (hours * int64_t{60} + std::max(minutes, 0)) * 60'000;
  }
  return ms;
}

}  // namespace payonce::history
