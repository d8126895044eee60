// Anonymous memory of whole pages, all zeros. Only pages that were written to take memory, and it goes back at the
// end. Threads: one for the object; what it holds is plain memory.
#pragma once

#include <cstddef>
#include <utility>

#include "base/result.h"

namespace payonce::engine {

class Pages {
 public:
  Pages() = default;
  ~Pages();
  Pages(Pages&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }

  static base::Result<Pages> make(size_t bytes);  // kExhausted
  // Addresses alone, until use(). kExhausted.
  static base::Result<Pages> reserve(size_t bytes);
  base::Status use(size_t bytes);  // the first of them. kExhausted

  std::byte* data() const { return data_; }  // null: none were made
  size_t size() const { return bytes_; }

 private:
  static base::Result<Pages> map(size_t bytes, int protection);

  std::byte* data_ = nullptr;
  size_t bytes_ = 0;
};

}  // namespace payonce::engine
