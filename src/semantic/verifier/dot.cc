#include "semantic/verifier/dot.h"

#include "base/cpu.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define PAYONCE_DOT_AVX2 1
#endif

namespace payonce::semantic {

int32_t dot_int8_plain(const int8_t* a, const int8_t* b, size_t count) {
  int32_t sum = 0;
  for (size_t i = 0; i < count; ++i) sum += int32_t{a[i]} * int32_t{b[i]};
  return sum;
}

#ifdef PAYONCE_DOT_AVX2
namespace {

__attribute__((target("avx2"))) int32_t dot_int8_avx2(const int8_t* a, const int8_t* b, size_t count) {
  __m256i sum = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 16 <= count; i += 16) {
    const __m256i left = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(a + i)));
    const __m256i right = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(b + i)));
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(left, right));
  }
  alignas(32) int32_t lanes[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum);
  int32_t out = dot_int8_plain(a + i, b + i, count - i);
  for (const int32_t lane : lanes) out += lane;
  return out;
}

}  // namespace
#endif

int32_t dot_int8(const int8_t* a, const int8_t* b, size_t count) {
#ifdef PAYONCE_DOT_AVX2
  static const bool has_avx2 = base::cpu().avx2;
  if (has_avx2) return dot_int8_avx2(a, b, count);
#endif
  return dot_int8_plain(a, b, count);
}

}  // namespace payonce::semantic
