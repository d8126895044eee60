// Names of files that are numbered in a directory, so that their order by name is that by number.
// Threads: pure functions.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace payonce::base {

inline constexpr size_t kFileNumberDigits = 10;

// "0000000042.log" of 42 and ".log".
inline std::string numbered_file_name(uint64_t number, std::string_view extension) {
  return fmt::format("{:0{}}{}", number, kFileNumberDigits, extension);
}

// The number again; 0: not such a name.
inline uint64_t number_of_file(std::string_view name, std::string_view extension) {
  if (name.size() != kFileNumberDigits + extension.size() || !name.ends_with(extension)) return 0;
  uint64_t number = 0;
  for (const char c : name.substr(0, kFileNumberDigits)) {
    if (c < '0' || c > '9') return 0;
    number = number * 10 + static_cast<uint64_t>(c - '0');
  }
  return number;
}

}  // namespace payonce::base
