#include "semantic/index/row_kernels.h"

#ifdef __AVX2__
#include <immintrin.h>
#endif

namespace payonce::semantic {

#ifdef __AVX2__
namespace {

// 16 bytes as 16-bit numbers: the products of pairs fit 32 bits.
__m256i widened(const int8_t* at) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
}

void dots(const int8_t* query, const int8_t* rows, size_t stride, size_t count, int32_t* out) {
  for (size_t i = 0; i < count; ++i) {
    const int8_t* row = rows + i * stride;
    __m256i sum = _mm256_setzero_si256();
    for (size_t d = 0; d < stride; d += 16)
      sum = _mm256_add_epi32(sum, _mm256_madd_epi16(widened(query + d), widened(row + d)));
    const __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    const __m128i pair = _mm_add_epi32(half, _mm_unpackhi_epi64(half, half));
    out[i] = _mm_cvtsi128_si32(_mm_add_epi32(pair, _mm_shuffle_epi32(pair, 1)));
  }
}

}  // namespace

const RowKernels* avx2_row_kernels() {
  static constexpr RowKernels kKernels{"avx2", dots};
  return &kKernels;
}
#else
const RowKernels* avx2_row_kernels() { return nullptr; }
#endif

}  // namespace payonce::semantic
