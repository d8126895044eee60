// One stretch of memory in which the tensors of many graphs lie over each other. Its addresses are reserved at once
// and never move; it takes as much memory as the largest graph needs.
// Threads: one.
#pragma once

#include <ggml-cpp.h>

#include <cstddef>

#include "base/result.h"
#include "engine/model/pages.h"

namespace payonce::engine {

class TensorMemory {
 public:
  // Places the tensors of `graph`, all made in `context`, that have no place yet. kExhausted.
  base::Status lay_out(ggml_context* context, ggml_cgraph* graph);

 private:
  base::Status grow(size_t bytes);

  Pages pages_;
  size_t usable_ = 0;               // bytes of them
  ggml_backend_buffer_ptr buffer_;  // all reserved addresses, as ggml knows them
};

}  // namespace payonce::engine
