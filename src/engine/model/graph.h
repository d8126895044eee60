// One graph builder for all architectures. A graph serves every step of its shape: only its inputs change.
// Threads: one.
#pragma once

#include <ggml-cpp.h>

#include <cstdint>

#include "base/result.h"
#include "engine/model/architecture.h"
#include "engine/model/batch_invariance.h"
#include "engine/model/pages.h"
#include "engine/model/weights.h"

namespace payonce::engine {

// How a graph stores the rows' keys and values in the pools, and attends to what the block tables name.
class AttentionNodes {
 public:
  virtual ~AttentionNodes() = default;
  // q: [head_dim, q_heads, rows], k, v: [head_dim, kv_heads, rows], F32. Gives [head_dim * q_heads, rows].
  virtual ggml_tensor* attend(ggml_context* context, ggml_cgraph* graph, int layer, ggml_tensor* q, ggml_tensor* k,
                              ggml_tensor* v) = 0;
  // Stores only: the last layer of a step that wants no logits.
  virtual void store(ggml_context* context, ggml_cgraph* graph, int layer, ggml_tensor* k, ggml_tensor* v) = 0;
};

struct StepGraph {
  Pages memory;  // of the context: there is room for more tensors than there are
  ggml_context_ptr context;
  ggml_cgraph* graph = nullptr;
  ggml_tensor* tokens = nullptr;       // I32 [rows]
  ggml_tensor* positions = nullptr;    // I32 [rows]
  ggml_tensor* output_rows = nullptr;  // I32 [outputs]; null: all rows, or none
  ggml_tensor* logits = nullptr;       // F32 [vocab, outputs]; null: none
};

struct GraphPlan {
  const Weights& weights;
  const Hyper& hyper;
  AttentionNodes& attention;
  size_t attention_nodes = 0;  // that it adds for each layer
  const ColumnClasses* at_least =
      nullptr;  // products are made of no fewer columns than this says; null: of any number
};

// outputs: 0 … rows. kExhausted.
base::Result<StepGraph> build_graph(const GraphPlan& plan, int64_t rows, int64_t outputs);

}  // namespace payonce::engine
