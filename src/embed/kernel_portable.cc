// 4 lanes: the vectors that every CPU of the family has (SSE2, NEON), or what the compiler makes of plain C++.
#include "embed/kernel.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace payonce::embed {
namespace {

struct Portable {
  typedef float F __attribute__((vector_size(16)));
  typedef int32_t I __attribute__((vector_size(16)));
  typedef int16_t Pairs __attribute__((vector_size(16)));
  static constexpr int kLanes = 4;
  static constexpr int kRows = 4;

  static Pairs load_pairs(const int16_t* from) {
    Pairs out;
    __builtin_memcpy(&out, from, sizeof out);
    return out;
  }
  static Pairs set_pair(const int16_t* from) {
    int32_t pair;
    __builtin_memcpy(&pair, from, sizeof pair);
    return Pairs(pair - I{});
  }
  static void store_16_bits(int16_t* to, I value) {
    for (int i = 0; i < kLanes; ++i) to[i] = static_cast<int16_t>(value[i]);
  }
#if defined(__SSE2__)
  static F fma(F a, F b, F c) { return a * b + c; }
  static I add_products(I sum, Pairs a, Pairs b) { return sum + I(_mm_madd_epi16(__m128i(a), __m128i(b))); }
#elif defined(__ARM_NEON) && defined(__aarch64__)
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static I add_products(I sum, Pairs a, Pairs b) {
    const int32x4_t low = vmull_s16(vget_low_s16(a), vget_low_s16(b));
    return sum + vpaddq_s32(low, vmull_high_s16(a, b));
  }
#else
  static F fma(F a, F b, F c) { return a * b + c; }
  static I add_products(I sum, Pairs a, Pairs b) {
    for (int i = 0; i < kLanes; ++i) sum[i] += a[2 * i] * b[2 * i] + a[2 * i + 1] * b[2 * i + 1];
    return sum;
  }
#endif
};

}  // namespace

const Kernels* portable_kernels() { return Kernel<Portable>::table("portable"); }

}  // namespace payonce::embed
