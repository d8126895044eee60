#include "engine/model/tensor_memory.h"

#include <fmt/format.h>

#include "base/assert.h"
#include "engine/model/library_log.h"

namespace payonce::engine {

namespace {

constexpr size_t kReserved_bytes = size_t{16} << 30;  // of addresses alone
constexpr size_t kGranule_bytes = size_t{2} << 20;

// Where ggml's allocator put the tensors that are no views.
ggml_backend_buffer_t buffer_of(const ggml_context* context) {
  for (ggml_tensor* each = ggml_get_first_tensor(context); each; each = ggml_get_next_tensor(context, each)) {
    if (!each->view_src && each->buffer) return each->buffer;
  }
  return nullptr;
}

// Fewer where the process may not have so many addresses (RLIMIT_AS).
base::Result<Pages> reserve(size_t at_least) {
  for (size_t bytes = kReserved_bytes; bytes > 2 * at_least; bytes /= 2)
    if (auto pages = Pages::reserve(bytes)) return pages;
  return Pages::reserve(at_least);
}

}  // namespace

base::Status TensorMemory::grow(size_t bytes) {
  if (bytes <= usable_) return {};
  const size_t wanted = (bytes + kGranule_bytes - 1) / kGranule_bytes * kGranule_bytes;
  if (!buffer_) {
    PAYONCE_TRY(pages_, reserve(wanted));
    buffer_.reset(ggml_backend_cpu_buffer_from_ptr(pages_.data(), pages_.size()));
  }
  if (wanted > pages_.size())
    return base::fail(base::Code::kExhausted, fmt::format("a step's tensors take {} bytes, too many", bytes));
  PAYONCE_CHECK_OK(pages_.use(wanted));
  usable_ = wanted;
  return {};
}

// ggml's allocator lays a graph out in a buffer of its own, which is never touched; then each tensor is moved to the
// same offset here.
base::Status TensorMemory::lay_out(ggml_context* context, ggml_cgraph* graph) {
  const LibraryErrors errors;
  const ggml_gallocr_ptr allocator(ggml_gallocr_new(ggml_backend_cpu_buffer_type()));
  if (!ggml_gallocr_alloc_graph(allocator.get(), graph))
    return base::fail(base::Code::kExhausted, "no memory for a step's tensors: " + errors.first());
  ggml_backend_buffer_t const laid = buffer_of(context);
  if (!laid) return {};
  PAYONCE_ASSERT(ggml_backend_buffer_get_size(laid) == ggml_gallocr_get_buffer_size(allocator.get(), 0));
  PAYONCE_CHECK_OK(grow(ggml_backend_buffer_get_size(laid)));
  auto* const from = static_cast<std::byte*>(ggml_backend_buffer_get_base(laid));
  for (ggml_tensor* each = ggml_get_first_tensor(context); each; each = ggml_get_next_tensor(context, each)) {
    if (each->buffer != laid) continue;
    each->data = pages_.data() + (static_cast<std::byte*>(each->data) - from);
    each->buffer = buffer_.get();
  }
  return {};
}

}  // namespace payonce::engine
