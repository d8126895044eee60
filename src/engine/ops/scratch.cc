#include "engine/ops/scratch.h"

#include <array>
#include <mutex>
#include <new>
#include <utility>

namespace payonce::engine {
namespace {

constexpr size_t kKept = 4;                             // buffers that wait for the next plan
constexpr size_t kKeptFloats = (size_t{64} << 20) / 4;  // a larger one goes back at once
constexpr std::align_val_t kAlignment{64};

struct Buffer {
  size_t capacity = 0;
  float* floats = nullptr;
};

struct Shelf {
  std::mutex mutex;
  std::array<Buffer, kKept> buffers;
  ~Shelf() {
    for (const Buffer& buffer : buffers) ::operator delete(buffer.floats, kAlignment);
  }
};

Shelf& shelf() {
  static Shelf instance;
  return instance;
}

}  // namespace

Scratch::Scratch(size_t floats) {
  {
    const std::lock_guard lock(shelf().mutex);
    for (Buffer& buffer : shelf().buffers) {
      if (buffer.capacity < floats || floats_ != nullptr) continue;
      capacity_ = std::exchange(buffer.capacity, 0);
      floats_ = std::exchange(buffer.floats, nullptr);
    }
  }
  if (floats_ != nullptr) return;
  capacity_ = floats + floats / 4;  // the next step's context is a little longer
  floats_ = static_cast<float*>(::operator new(capacity_ * sizeof(float), kAlignment));
  for (size_t i = 0; i < capacity_; ++i) floats_[i] = 0;
}

Scratch::~Scratch() {
  Buffer mine{capacity_, floats_};
  if (capacity_ <= kKeptFloats) {
    const std::lock_guard lock(shelf().mutex);
    for (Buffer& buffer : shelf().buffers) {  // the smaller one goes
      if (buffer.capacity < mine.capacity) std::swap(buffer, mine);
    }
  }
  ::operator delete(mine.floats, kAlignment);
}

}  // namespace payonce::engine
