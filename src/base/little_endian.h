// Numbers as files keep them: little-endian, whatever the machine.  Threads: an object one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace payonce::base {

template <typename T>
void put_number(std::string& out, T value) {
  static_assert(std::is_integral_v<T>);
  const auto bits = static_cast<uint64_t>(value);
  for (size_t i = 0; i < sizeof(T); ++i) out.push_back(static_cast<char>((bits >> (8 * i)) & 0xff));
}

// Reads front to back. Past the end everything is zero or empty, and ok() is false.
class NumberReader {
 public:
  explicit NumberReader(std::string_view bytes) : left_(bytes) {}

  template <typename T>
  T number() {
    static_assert(std::is_integral_v<T>);
    const std::string_view from = text(sizeof(T));
    uint64_t bits = 0;
    for (size_t i = 0; i < from.size(); ++i) bits |= uint64_t{static_cast<unsigned char>(from[i])} << (8 * i);
    return static_cast<T>(bits);
  }

  std::string_view text(size_t size) {
    if (size > left_.size()) {
      ok_ = false;
      left_ = {};
      return {};
    }
    const std::string_view out = left_.substr(0, size);
    left_.remove_prefix(size);
    return out;
  }

  bool ok() const { return ok_; }
  bool at_end() const { return left_.empty(); }

 private:
  std::string_view left_;
  bool ok_ = true;
};

}  // namespace payonce::base
