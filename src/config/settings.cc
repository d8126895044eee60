#include "config/settings.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <optional>

#include "config/units.h"

namespace payonce::config {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};
// Decimal units are not offered: "1GB" is read as one thing by some and as another by others.
constexpr std::array<Unit, 4> kSizes{
    {{"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}}};
constexpr std::array<Unit, 5> kDurations{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}}};
constexpr uint64_t kMaxNumber = std::numeric_limits<int64_t>::max();

// A whole number and one of `units`; a number alone counts in `bare` ones. Nullopt: not understood, or too large.
template <size_t kCount>
std::optional<uint64_t> parse(std::string_view text, const std::array<Unit, kCount>& units, uint64_t bare) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  std::string_view rest(end, static_cast<size_t>(text.data() + text.size() - end));
  if (rest.starts_with(' ')) rest.remove_prefix(1);
  uint64_t factor = rest.empty() ? bare : 0;
  for (const Unit& unit : units)
    if (rest == unit.name) factor = unit.factor;
  if (factor == 0 || number > kMaxNumber / factor) return std::nullopt;
  return number * factor;
}

template <size_t kCount>
std::string format(uint64_t number, const std::array<Unit, kCount>& units) {
  for (const Unit& unit : units)
    if (number != 0 && number % unit.factor == 0) return fmt::format("{}{}", number / unit.factor, unit.name);
  return fmt::format("{}", number);
}

}  // namespace

base::Result<uint64_t> parse_size(std::string_view text) {
  if (const auto bytes = parse(text, kSizes, 1)) return *bytes;
  return base::fail(
      base::Code::kInvalid,
      fmt::format("expected a size such as \"256MiB\" (KiB, MiB, GiB, TiB, or bytes), found \"{}\"", text));
}

base::Result<int64_t> parse_duration_ms(std::string_view text) {
  if (const auto ms = parse(text, kDurations, 1'000)) return static_cast<int64_t>(*ms);
  return base::fail(
      base::Code::kInvalid,
      fmt::format("expected a duration such as \"15m\" (ms, s, m, h, d, or seconds), found \"{}\"", text));
}

base::Result<int64_t> parse_duration_s(std::string_view text) {
  const auto ms = parse(text, kDurations, 1'000);
  if (ms && *ms % 1'000 == 0) return static_cast<int64_t>(*ms / 1'000);
  return base::fail(
      base::Code::kInvalid,
      fmt::format("expected whole seconds such as \"90s\" or \"15m\" (s, m, h, d), found \"{}\"", text));
}

std::string format_size(uint64_t bytes) { return format(bytes, kSizes); }
std::string format_duration_ms(int64_t ms) { return format(static_cast<uint64_t>(ms), kDurations); }

}  // namespace payonce::config
