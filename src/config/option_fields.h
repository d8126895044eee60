// How one field of Settings is read from text and written as text, by the kind of its value. For the table in
// options.cc alone.  Threads: pure functions.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "config/options.h"
#include "config/units.h"

namespace payonce::config::fields {

inline base::Status expected(std::string_view what, std::string_view found) {
  return base::fail(base::Code::kInvalid, fmt::format("expected {}, found \"{}\"", what, found));
}

template <typename Number>
bool read_number(std::string_view text, Number& out) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  return error == std::errc() && end == text.data() + text.size();
}

inline std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    if (!part.empty()) out.push_back(part);
  }
  return out;
}

// Each template below makes the Field of one member; kAt gives the member of a Settings, constant or not.

template <auto kAt>
constexpr Field text() {
  return {Kind::kText,
          [](Settings& s, std::string_view value) -> base::Status {
            kAt(s) = value;
            return {};
          },
          [](const Settings& s) { return kAt(s); }};
}

template <auto kAt, int64_t kMin, int64_t kMax>
constexpr Field whole() {
  return {Kind::kWhole,
          [](Settings& s, std::string_view value) -> base::Status {
            int64_t number = 0;
            if (!read_number(value, number) || number < kMin || number > kMax)
              return expected(fmt::format("a whole number from {} to {}", kMin, kMax), value);
            kAt(s) = static_cast<std::remove_reference_t<decltype(kAt(s))>>(number);
            return {};
          },
          [](const Settings& s) { return fmt::format("{}", kAt(s)); }};
}

template <auto kAt, int64_t kMax>
constexpr Field number() {
  return {Kind::kNumber,
          [](Settings& s, std::string_view value) -> base::Status {
            double found = 0;
            if (!read_number(value, found) || !(found >= 0 && found <= static_cast<double>(kMax)))
              return expected(fmt::format("a number from 0 to {}", kMax), value);
            kAt(s) = found;
            return {};
          },
          [](const Settings& s) { return fmt::format("{}", kAt(s)); }};
}

template <auto kAt>
constexpr Field boolean() {
  return {Kind::kBool,
          [](Settings& s, std::string_view value) -> base::Status {
            if (value != "true" && value != "false") return expected("true or false", value);
            kAt(s) = value == "true";
            return {};
          },
          [](const Settings& s) { return fmt::format("{}", kAt(s)); }};
}

template <auto kAt>
constexpr Field size() {
  return {Kind::kSize,
          [](Settings& s, std::string_view value) -> base::Status {
            PAYONCE_TRY(kAt(s), parse_size(value));
            return {};
          },
          [](const Settings& s) { return format_size(kAt(s)); }};
}

template <auto kAt>
constexpr Field seconds() {
  return {Kind::kDuration,
          [](Settings& s, std::string_view value) -> base::Status {
            PAYONCE_TRY(kAt(s), parse_duration_s(value));
            return {};
          },
          [](const Settings& s) { return format_duration_ms(kAt(s) * 1000); }};
}

template <auto kAt>
constexpr Field milliseconds() {
  return {Kind::kDuration,
          [](Settings& s, std::string_view value) -> base::Status {
            PAYONCE_TRY(kAt(s), parse_duration_ms(value));
            return {};
          },
          [](const Settings& s) { return format_duration_ms(kAt(s)); }};
}

// Models or patterns of them; "on": all, "off": none.
template <auto kAt>
constexpr Field models() {
  return {Kind::kList,
          [](Settings& s, std::string_view value) -> base::Status {
            std::vector<std::string> out;
            for (const std::string_view name : split(value)) out.emplace_back(name == "on" ? "*" : name);
            if (out.empty()) return expected("off, on, or models such as \"claude-*\"", value);
            if (out == std::vector<std::string>{"off"}) out.clear();
            kAt(s) = std::move(out);
            return {};
          },
          [](const Settings& s) {
            return kAt(s).empty() ? std::string("off") : fmt::format("{}", fmt::join(kAt(s), ","));
          }};
}

// kNames: the words and what they stand for, an array of pairs.
template <auto kAt, const auto& kNames>
constexpr Field choice() {
  return {Kind::kChoice,
          [](Settings& s, std::string_view value) -> base::Status {
            std::string known;
            for (const auto& [name, meaning] : kNames) {
              known += fmt::format("{}\"{}\"", known.empty() ? "" : ", ", name);
              if (name != value) continue;
              kAt(s) = meaning;
              return {};
            }
            return expected("one of " + known, value);
          },
          [](const Settings& s) {
            for (const auto& [name, meaning] : kNames)
              if (meaning == kAt(s)) return std::string(name);
            return std::string();
          }};
}

}  // namespace payonce::config::fields
