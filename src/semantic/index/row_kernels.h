// Dot products of int8 rows, one version an instruction set, chosen at start. All give the same integers.
// Threads: pure functions.
#pragma once

#include <cstddef>
#include <cstdint>

namespace payonce::semantic {

inline constexpr size_t kRowAlignment = 64;  // bytes; rows are padded to it with zeros

struct RowKernels {
  const char* isa;
  // out[i] = sum over d of query[d] * rows[i * stride + d], for `count` rows; stride a multiple of kRowAlignment, all
  // values from -127 to 127.
  void (*dots)(const int8_t* query, const int8_t* rows, size_t stride, size_t count, int32_t* out);
};

const RowKernels& row_kernels();                 // the best that this CPU runs, or what PAYONCE_ISA names
const RowKernels* row_kernels(const char* isa);  // avx512, avx2, neon, portable; null: this CPU cannot run it

// Of one instruction set each; null where not compiled in.
const RowKernels* portable_row_kernels();
const RowKernels* avx2_row_kernels();
const RowKernels* avx512_row_kernels();
const RowKernels* neon_row_kernels();

}  // namespace payonce::semantic
