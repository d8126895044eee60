// 16 lanes are one zmm register, and two products of 16 bits and their sum one instruction (AVX-512 VNNI: Cascade
// Lake and later, Zen 4 and later). Runs only where find_kernels() says so.
#include "embed/kernels.h"

#ifdef __x86_64__
#include <immintrin.h>

#include "embed/kernel.h"

namespace payonce::embed {
namespace {

struct Avx512 {
  typedef float F __attribute__((vector_size(64)));
  typedef int32_t I __attribute__((vector_size(64)));
  using Pairs = __m512i;
  static constexpr int kLanes = 16;
  static constexpr int kRows = 14;  // twice as many sums, two of weights, one of inputs: 31 of 32 registers

  static F fma(F a, F b, F c) { return F(_mm512_fmadd_ps(__m512(a), __m512(b), __m512(c))); }
  static Pairs load_pairs(const int16_t* from) { return _mm512_load_si512(from); }
  static Pairs set_pair(const int16_t* from) {
    int32_t pair;
    __builtin_memcpy(&pair, from, sizeof pair);
    return _mm512_set1_epi32(pair);
  }
  static I add_products(I sum, Pairs a, Pairs b) { return I(_mm512_dpwssd_epi32(__m512i(sum), a, b)); }
  static void store_16_bits(int16_t* to, I value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(__m512i(value)));
  }
};

}  // namespace

const Kernels* avx512_kernels() { return Kernel<Avx512>::table("avx512"); }

}  // namespace payonce::embed

#else
namespace payonce::embed {
const Kernels* avx512_kernels() { return nullptr; }
}  // namespace payonce::embed
#endif
