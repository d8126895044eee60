#include "engine/model/batch_invariance.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace payonce::engine {

namespace {

constexpr int64_t kMaxRows = 256;
constexpr int64_t kColumns[] = {64, 33, 16, 13, 9, 8, 7, 5, 4, 3, 2, 1};

// The products of the matrix' first rows with the first `columns` of a fixed noise.
base::Result<std::vector<float>> product(ggml_tensor* matrix, int64_t columns, Backend& backend) {
  constexpr size_t kNodes = 8;
  ggml_context_ptr context(
      ggml_init({kNodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(kNodes, false), nullptr, true}));
  ggml_cgraph* graph = ggml_new_graph_custom(context.get(), kNodes, false);
  const int64_t rows = std::min(kMaxRows, matrix->ne[1]);
  ggml_tensor* part = ggml_view_2d(context.get(), matrix, matrix->ne[0], rows, matrix->nb[1], 0);
  ggml_tensor* x = ggml_new_tensor_2d(context.get(), GGML_TYPE_F32, matrix->ne[0], columns);
  ggml_set_input(x);
  ggml_tensor* y = ggml_mul_mat(context.get(), part, x);
  ggml_set_output(y);
  ggml_build_forward_expand(graph, y);
  PAYONCE_CHECK_OK(backend.lay_out(context.get(), graph));
  PAYONCE_CHECK_OK(backend.prepare(graph));
  std::vector<float> noise(static_cast<size_t>(ggml_nelements(x)));
  uint32_t state = 1;
  for (float& value : noise) {
    state = state * 1664525U + 1013904223U;
    value = static_cast<float>(state >> 8) / (1 << 23) - 1.0F;
  }
  ggml_backend_tensor_set(x, noise.data(), 0, ggml_nbytes(x));
  PAYONCE_CHECK_OK(backend.compute(graph));
  std::vector<float> out(static_cast<size_t>(ggml_nelements(y)));
  ggml_backend_tensor_get(y, out.data(), 0, ggml_nbytes(y));
  return out;
}

base::Result<int64_t> class_of(ggml_tensor* matrix, Backend& backend) {
  PAYONCE_TRY(const std::vector<float> many, product(matrix, kColumns[0], backend));
  int64_t least = kColumns[0];
  for (const int64_t columns : kColumns) {
    PAYONCE_TRY(const std::vector<float> few, product(matrix, columns, backend));
    if (std::memcmp(few.data(), many.data(), few.size() * sizeof(float)) != 0) break;
    least = columns;
  }
  return least;
}

}  // namespace

base::Result<ColumnClasses> find_column_classes(const Weights& weights, Backend& backend) {
  ColumnClasses out;
  std::map<std::pair<ggml_type, int64_t>, bool> seen;  // kernels look at the type and the length of a row
  for (const auto& [tensor, source] : weights.sources) {
    const bool is_matrix = tensor->ne[1] > 1 && tensor != weights.embedding;
    if ((!is_matrix && tensor != weights.output) || seen[{tensor->type, tensor->ne[0]}]) continue;
    seen[{tensor->type, tensor->ne[0]}] = true;
    PAYONCE_TRY(const int64_t found, class_of(tensor, backend));
    int64_t& known = out[tensor->type];
    known = std::max(known, found);
  }
  return out;
}

}  // namespace payonce::engine
