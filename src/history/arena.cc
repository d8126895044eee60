#include "history/arena.h"

#include <algorithm>
#include <cstring>
#include <new>

namespace payonce::history {
namespace {

constexpr size_t kFirstChunkBytes = size_t{64} << 10;
constexpr size_t kLargestChunkBytes = size_t{64} << 20;

}  // namespace

char* Arena::room(size_t size) {
  if (chunks_.empty() || chunks_.back().size() - used_ < size) {
    const size_t last = chunks_.empty() ? kFirstChunkBytes / 2 : chunks_.back().size();
    auto chunk = Mapping::scratch(std::max(size, std::min(last * 2, kLargestChunkBytes)));
    if (!chunk) throw std::bad_alloc();
    chunks_.push_back(std::move(*chunk));
    used_ = 0;
  }
  used_ += size;
  return chunks_.back().data() + used_ - size;
}

std::string_view Arena::keep(std::string_view text) {
  if (text.empty()) return {};
  char* const at = room(text.size());
  std::memcpy(at, text.data(), text.size());
  return {at, text.size()};
}

}  // namespace payonce::history
