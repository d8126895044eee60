// 16 lanes are one zmm register. Compiled with -mavx512f and friends: runs only where attention_isa() says so.
#include "engine/ops/attention_kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#include "engine/ops/attention_kernel.h"

namespace payonce::engine {
namespace {

struct Avx512 {
  using F = __m512;
  static constexpr int kSums = 24;  // of 32 registers
  static constexpr int kScoreVectors = 12;
  static constexpr int kValueVectors = 6;

  static F set(float value) { return _mm512_set1_ps(value); }
  static F load(const float* from) { return _mm512_loadu_ps(from); }
  static void store(float* to, F value) { _mm512_storeu_ps(to, value); }
  static F load_half(const std::byte* from) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
  }
  static F load_8_halves(const std::byte* from) {
    const __m128i halves = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    return _mm512_cvtph_ps(_mm256_zextsi128_si256(halves));
  }
  static F set_half(const std::byte* from) {
    uint16_t half = 0;
    __builtin_memcpy(&half, from, sizeof half);
    return _mm512_cvtph_ps(_mm256_set1_epi16(static_cast<short>(half)));
  }
  static F load_int8(const std::byte* from) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
  }
  static void store_half(uint16_t* to, F value) {
    const F number = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(value, value, _CMP_ORD_Q), value);
    const F finite = _mm512_max_ps(_mm512_min_ps(number, set(65504)), set(-65504));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtps_ph(finite, _MM_FROUND_TO_NEAREST_INT));
  }
  static F add(F a, F b) { return _mm512_add_ps(a, b); }
  static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F div(F a, F b) { return _mm512_div_ps(a, b); }
  static F max(F a, F b) { return _mm512_max_ps(a, b); }
  static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F zero_below(F x, float bound, F value) {
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, set(bound), _CMP_GE_OQ), value);
  }
  static F add_to_exponent(F value, F shifted) {
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(value), exponent));
  }
  static float reduce_max(F value) {
    const __m256 low = _mm512_castps512_ps256(value);
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(value), 1));
    const __m256 eight = _mm256_max_ps(low, high);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
  static float reduce_add(F value) {  // lane i + lane i + 8, then + 4, + 2, + 1
    const __m256 low = _mm512_castps512_ps256(value);
    const __m256 high = _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(value), 1));
    const __m256 eight = _mm256_add_ps(low, high);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps(two, two, 1)));
  }
};

}  // namespace

const AttentionKernels* avx512_kernels() { return Kernel<Avx512>::table("avx512"); }

}  // namespace payonce::engine

#else
namespace payonce::engine {
const AttentionKernels* avx512_kernels() { return nullptr; }
}  // namespace payonce::engine
#endif
