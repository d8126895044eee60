#include "engine/model/pages.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace payonce::engine {

namespace {

base::Error exhausted(size_t bytes) {
  return {base::Code::kExhausted, fmt::format("no memory, {} bytes: {}", bytes, std::strerror(errno))};
}

}  // namespace

Pages::~Pages() {
  if (data_) munmap(data_, bytes_);
}

base::Result<Pages> Pages::map(size_t bytes, int protection) {
  void* const mapped = mmap(nullptr, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapped == MAP_FAILED) return base::fail(exhausted(bytes));
  Pages out;
  out.data_ = static_cast<std::byte*>(mapped);
  out.bytes_ = bytes;
  return out;
}

base::Result<Pages> Pages::make(size_t bytes) { return map(bytes, PROT_READ | PROT_WRITE); }
base::Result<Pages> Pages::reserve(size_t bytes) { return map(bytes, PROT_NONE); }

base::Status Pages::use(size_t bytes) {
  PAYONCE_ASSERT(bytes <= bytes_);
  if (mprotect(data_, bytes, PROT_READ | PROT_WRITE) != 0) return base::fail(exhausted(bytes));
  return {};
}

}  // namespace payonce::engine
