// Aligned memory that outlives the plan it served: one is made for every step, and fresh pages of the operating
// system would cost more than the planning itself. Threads: any.
#pragma once

#include <cstddef>

namespace payonce::engine {

class Scratch {
 public:
  explicit Scratch(size_t floats);  // zero or what an earlier user left; aligned to 64 bytes
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  float* floats() const { return floats_; }

 private:
  size_t capacity_ = 0;
  float* floats_ = nullptr;
};

}  // namespace payonce::engine
