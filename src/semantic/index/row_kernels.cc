#include "semantic/index/row_kernels.h"

#include <string_view>

#include "base/cpu.h"

namespace payonce::semantic {
namespace {

// Written so that compilers vectorise it.
void dots(const int8_t* query, const int8_t* rows, size_t stride, size_t count, int32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    const int8_t* row = rows + i * stride;
    int32_t sum = 0;
    for (size_t d = 0; d < stride; ++d) sum += static_cast<int32_t>(query[d]) * static_cast<int32_t>(row[d]);
    out[i] = sum;
  }
}

}  // namespace

const RowKernels* portable_row_kernels() {
  static constexpr RowKernels kKernels{"portable", dots};
  return &kKernels;
}

const RowKernels* row_kernels(const char* isa) {
  const std::string_view wanted = isa;
  const base::CpuFeatures& cpu = base::cpu();
  if (wanted == "avx512") return cpu.avx512f && cpu.avx512bw && cpu.avx512vnni ? avx512_row_kernels() : nullptr;
  if (wanted == "avx2") return cpu.avx2 ? avx2_row_kernels() : nullptr;
  if (wanted == "neon") return neon_row_kernels();
  if (wanted == "portable") return portable_row_kernels();
  return nullptr;
}

const RowKernels& row_kernels() {
  static const RowKernels& chosen =
      base::best_kernels<RowKernels>(row_kernels, {"avx512", "avx2", "neon", "portable"});
  return chosen;
}

}  // namespace payonce::semantic
