// Files as memory. Log files are mapped, never read in whole; what has no file of its own gets an unlinked temporary
// one (in TMPDIR, else /var/tmp, since /tmp may be memory).  Threads: values, moved.
// A file that shrinks while it is mapped ends the program (SIGBUS): rotate logs by renaming, not by truncating.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"

namespace payonce::history {

class Descriptor {
 public:
  explicit Descriptor(int value = -1) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor();
  int get() const { return value_; }

 private:
  int value_;
};

// An open, unlinked, empty file.
base::Result<Descriptor> temporary_file();

class Mapping {
 public:
  Mapping() = default;
  Mapping(Mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~Mapping();

  // The first `size` bytes of a file, read only.
  static base::Result<Mapping> of(const Descriptor& file, size_t size);
  // Memory to write to: anonymous below 1 MiB, else an unlinked file with its space reserved.
  static base::Result<Mapping> scratch(size_t size);

  // Gives the memory of what was read back to the kernel, up to this offset; it comes back when it is looked at.
  void release(size_t end) const;

  char* data() { return data_; }
  size_t size() const { return size_; }
  std::string_view view() const { return {data_, size_}; }

 private:
  Mapping(char* data, size_t size) : data_(data), size_(size) {}
  char* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace payonce::history
