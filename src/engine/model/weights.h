// A model's tensors, by role. On the CPU they point into the mapped file; another device gets a copy.
// Threads: built by one, then const.  Lifetime: the file must outlive them.
#pragma once

#include <ggml-cpp.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/model/architecture.h"
#include "engine/model/gguf_file.h"

namespace payonce::engine {

// Null where the architecture or the file has none. Matrices are [in, out] in ggml's order (innermost first).
struct LayerWeights {
  ggml_tensor *attention_norm = nullptr, *q = nullptr, *k = nullptr, *v = nullptr, *out = nullptr;
  ggml_tensor *q_bias = nullptr, *k_bias = nullptr, *v_bias = nullptr, *out_bias = nullptr;
  ggml_tensor *q_norm = nullptr, *k_norm = nullptr;
  ggml_tensor *post_attention_norm = nullptr, *ffn_norm = nullptr, *post_ffn_norm = nullptr;
  ggml_tensor *gate = nullptr, *up = nullptr, *down = nullptr;
  ggml_tensor *gate_bias = nullptr, *up_bias = nullptr, *down_bias = nullptr;
};

struct Weights {
  ggml_tensor* embedding = nullptr;  // [width, vocab]
  ggml_tensor *output_norm = nullptr, *output = nullptr, *output_bias = nullptr;
  ggml_tensor* rope_factors = nullptr;  // [rope_dims / 2]
  std::vector<LayerWeights> layers;
  int32_t vocab_size = 0;
  uint64_t parameters = 0;

  ggml_context_ptr context;
  std::vector<ggml_backend_buffer_ptr> buffers;
  std::vector<std::pair<ggml_tensor*, const GgufFile::Tensor*>> sources;

  // Finds the tensors and checks their shapes and types; they have no memory yet. kInvalid names the tensor.
  static base::Result<Weights> find(const GgufFile& file, const Hyper& hyper);
  // Points all tensors into the file's mapping.
  base::Status map(const GgufFile& file);
  // Copies all but the embedding's rows to a device. kExhausted.
  base::Status copy(const GgufFile& file, ggml_backend_buffer_type_t buffer_type);
};

}  // namespace payonce::engine
