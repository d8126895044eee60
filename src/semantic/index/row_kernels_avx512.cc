// VNNI multiplies unsigned by signed bytes: the query goes in with 128 added, and 128 times the row's sum comes off.
#include "semantic/index/row_kernels.h"

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
#include <immintrin.h>
#endif

namespace payonce::semantic {

#if defined(__AVX512VNNI__) && defined(__AVX512BW__)
namespace {

void dots(const int8_t* query, const int8_t* rows, size_t stride, size_t count, int32_t* out) {
  const __m512i flip = _mm512_set1_epi8(static_cast<char>(0x80));
  const __m512i ones = _mm512_set1_epi8(1);
  for (size_t i = 0; i < count; ++i) {
    const int8_t* row = rows + i * stride;
    __m512i products = _mm512_setzero_si512(), sums = _mm512_setzero_si512();
    for (size_t d = 0; d < stride; d += 64) {
      const __m512i r = _mm512_loadu_si512(row + d);
      const __m512i q = _mm512_xor_si512(_mm512_loadu_si512(query + d), flip);
      products = _mm512_dpbusd_epi32(products, q, r);
      sums = _mm512_dpbusd_epi32(sums, ones, r);
    }
    out[i] = _mm512_reduce_add_epi32(_mm512_sub_epi32(products, _mm512_slli_epi32(sums, 7)));
  }
}

}  // namespace

const RowKernels* avx512_row_kernels() {
  static constexpr RowKernels kKernels{"avx512", dots};
  return &kKernels;
}
#else
const RowKernels* avx512_row_kernels() { return nullptr; }
#endif

}  // namespace payonce::semantic
