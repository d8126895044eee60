// 8 lanes are one ymm register. Runs only where find_kernels() says so.
#include "embed/kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#include "embed/kernel.h"

namespace payonce::embed {
namespace {

struct Avx2 {
  typedef float F __attribute__((vector_size(32)));
  typedef int32_t I __attribute__((vector_size(32)));
  using Pairs = __m256i;
  static constexpr int kLanes = 8;
  static constexpr int kRows = 6;  // twice as many sums, two of weights, one of inputs, one product: 16 registers

  static F fma(F a, F b, F c) { return F(_mm256_fmadd_ps(__m256(a), __m256(b), __m256(c))); }
  static Pairs load_pairs(const int16_t* from) { return _mm256_load_si256(reinterpret_cast<const __m256i*>(from)); }
  static Pairs set_pair(const int16_t* from) {
    int32_t pair;
    __builtin_memcpy(&pair, from, sizeof pair);
    return _mm256_set1_epi32(pair);
  }
  static I add_products(I sum, Pairs a, Pairs b) { return sum + I(_mm256_madd_epi16(a, b)); }
  static void store_16_bits(int16_t* to, I value) {
    const __m256i v = __m256i(value);
    const __m128i packed = _mm_packs_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), packed);
  }
};

}  // namespace

const Kernels* avx2_kernels() { return Kernel<Avx2>::table("avx2"); }

}  // namespace payonce::embed

#else
namespace payonce::embed {
const Kernels* avx2_kernels() { return nullptr; }
}  // namespace payonce::embed
#endif
