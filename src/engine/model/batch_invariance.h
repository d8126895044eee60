// Does a row's product depend on how many rows are multiplied with it? ggml has several kernels for one type, chosen
// by the number of columns; where their sums have another order, a token's logits change in the last bits with its
// company. Which do is found out by trying, since it depends on type, CPU and ggml's version. Threads: one.
#pragma once

#include <ggml-cpp.h>

#include <map>

#include "base/result.h"
#include "engine/model/backend.h"
#include "engine/model/weights.h"

namespace payonce::engine {

// The least number of columns from which on products of that type no longer depend on it, by weight type. 1: they
// never do. Found for AVX-512 (ggml 0.25.3): 1 for q4_0, q4_1, q5_0, q5_1, q8_0, mxfp4; 2 for f32, f16, bf16, iq4_nl;
// 8 for the K- and the other i-quants.
using ColumnClasses = std::map<ggml_type, int64_t>;

base::Result<ColumnClasses> find_column_classes(const Weights& weights, Backend& backend);

}  // namespace payonce::engine
