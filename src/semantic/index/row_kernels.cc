#include "semantic/index/row_kernels.h"

#include <cstdlib>
#include <cstring>
#include <initializer_list>

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

bool runs_avx2() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx2");
#else
  return false;
#endif
}

bool runs_avx512() {
#ifdef __x86_64__
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vnni");
#else
  return false;
#endif
}

const RowKernels& choose() {
  const char* wanted = std::getenv("PAYONCE_ISA");
  if (wanted != nullptr)
    if (const RowKernels* kernels = row_kernels(wanted)) return *kernels;
  for (const char* isa : {"avx512", "avx2", "neon"})
    if (const RowKernels* kernels = row_kernels(isa)) return *kernels;
  return *portable_row_kernels();
}

}  // namespace

const RowKernels* portable_row_kernels() {
  static constexpr RowKernels kKernels{"portable", dots};
  return &kKernels;
}

const RowKernels* row_kernels(const char* isa) {
  if (std::strcmp(isa, "avx512") == 0) return runs_avx512() ? avx512_row_kernels() : nullptr;
  if (std::strcmp(isa, "avx2") == 0) return runs_avx2() ? avx2_row_kernels() : nullptr;
  if (std::strcmp(isa, "neon") == 0) return neon_row_kernels();
  if (std::strcmp(isa, "portable") == 0) return portable_row_kernels();
  return nullptr;
}

const RowKernels& row_kernels() {
  static const RowKernels& chosen = choose();
  return chosen;
}

}  // namespace payonce::semantic
