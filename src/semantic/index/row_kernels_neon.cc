#include "semantic/index/row_kernels.h"

#ifdef __aarch64__
#include <arm_neon.h>
#endif

namespace payonce::semantic {

#ifdef __aarch64__
namespace {

void dots(const int8_t* query, const int8_t* rows, size_t stride, size_t count, int32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    const int8_t* row = rows + i * stride;
    int32x4_t sum = vdupq_n_s32(0);
    for (size_t d = 0; d < stride; d += 16) {
      const int8x16_t q = vld1q_s8(query + d), r = vld1q_s8(row + d);
      sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(q), vget_low_s8(r)));
      sum = vpadalq_s16(sum, vmull_high_s8(q, r));
    }
    out[i] = vaddvq_s32(sum);
  }
}

}  // namespace

const RowKernels* neon_row_kernels() {
  static constexpr RowKernels kKernels{"neon", dots};
  return &kKernels;
}
#else
const RowKernels* neon_row_kernels() { return nullptr; }
#endif

}  // namespace payonce::semantic
