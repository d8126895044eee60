// 16 lanes are two ymm registers. Compiled with -mavx2 -mfma -mf16c: runs only where attention_isa() says so.
#include "engine/ops/attention_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#include "engine/ops/attention_kernel.h"

namespace payonce::engine {
namespace {

struct Avx2 {
  struct F {
    __m256 low, high;
  };
  static constexpr int kSums = 6;  // 12 of 16 registers
  static constexpr int kScoreVectors = 6;
  static constexpr int kValueVectors = 6;

  static F set(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
  static F load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
  static void store(float* to, F value) {
    _mm256_storeu_ps(to, value.low);
    _mm256_storeu_ps(to + 8, value.high);
  }
  static __m256 eight_halves(const std::byte* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  static F load_half(const std::byte* from) { return {eight_halves(from), eight_halves(from + 16)}; }
  static F load_8_halves(const std::byte* from) { return {eight_halves(from), _mm256_setzero_ps()}; }
  static F set_half(const std::byte* from) {
    uint16_t half = 0;
    __builtin_memcpy(&half, from, sizeof half);
    const __m256 value = _mm256_cvtph_ps(_mm_set1_epi16(static_cast<short>(half)));
    return {value, value};
  }
  static F load_int8(const std::byte* from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8)))};
  }
  static __m128i to_halves(__m256 value) {
    const __m256 number = _mm256_and_ps(_mm256_cmp_ps(value, value, _CMP_ORD_Q), value);
    const __m256 finite = _mm256_max_ps(_mm256_min_ps(number, _mm256_set1_ps(65504)), _mm256_set1_ps(-65504));
    return _mm256_cvtps_ph(finite, _MM_FROUND_TO_NEAREST_INT);
  }
  static void store_half(uint16_t* to, F value) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), to_halves(value.low));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to + 8), to_halves(value.high));
  }
  static F add(F a, F b) { return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)}; }
  static F sub(F a, F b) { return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)}; }
  static F mul(F a, F b) { return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)}; }
  static F div(F a, F b) { return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)}; }
  static F max(F a, F b) { return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)}; }
  static F fma(F a, F b, F c) {
    return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
  }
  static F zero_below(F x, float bound, F value) {
    const __m256 least = _mm256_set1_ps(bound);
    return {_mm256_and_ps(_mm256_cmp_ps(x.low, least, _CMP_GE_OQ), value.low),
            _mm256_and_ps(_mm256_cmp_ps(x.high, least, _CMP_GE_OQ), value.high)};
  }
  static __m256 add_shifted(__m256 value, __m256 shifted) {
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), exponent));
  }
  static F add_to_exponent(F value, F shifted) {
    return {add_shifted(value.low, shifted.low), add_shifted(value.high, shifted.high)};
  }
  static float reduce_max(F value) {
    const __m256 eight = _mm256_max_ps(value.low, value.high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
  static float reduce_add(F value) {  // lane i + lane i + 8, then + 4, + 2, + 1
    const __m256 eight = _mm256_add_ps(value.low, value.high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
};

}  // namespace

const AttentionKernels* avx2_kernels() { return Kernel<Avx2>::table("avx2"); }

}  // namespace payonce::engine

#else
namespace payonce::engine {
const AttentionKernels* avx2_kernels() { return nullptr; }
}  // namespace payonce::engine
#endif
