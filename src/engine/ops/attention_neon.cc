// 16 lanes are four q registers. Every aarch64 CPU has what is used here.
#include "engine/ops/attention_kernels.h"

#ifdef __aarch64__
#include <arm_neon.h>

#include "engine/ops/attention_kernel.h"

namespace payonce::engine {
namespace {

struct Neon {
  struct F {
    float32x4_t part[4];
  };
  static constexpr int kSums = 6;  // 24 of 32 registers
  static constexpr int kScoreVectors = 6;
  static constexpr int kValueVectors = 6;

  template <class Function>
  static F each(Function function) {
    return {{function(0), function(1), function(2), function(3)}};
  }
  static F set(float value) {
    return each([=](int) { return vdupq_n_f32(value); });
  }
  static F load(const float* from) {
    return each([=](int i) { return vld1q_f32(from + i * 4); });
  }
  static void store(float* to, F value) {
    for (int i = 0; i < 4; ++i) vst1q_f32(to + i * 4, value.part[i]);
  }
  static float16x8_t eight_halves(const std::byte* from) {
    return vreinterpretq_f16_u8(vld1q_u8(reinterpret_cast<const uint8_t*>(from)));
  }
  static F load_half(const std::byte* from) {
    const float16x8_t low = eight_halves(from);
    const float16x8_t high = eight_halves(from + 16);
    return {{vcvt_f32_f16(vget_low_f16(low)), vcvt_f32_f16(vget_high_f16(low)), vcvt_f32_f16(vget_low_f16(high)),
             vcvt_f32_f16(vget_high_f16(high))}};
  }
  static F load_8_halves(const std::byte* from) {
    const float16x8_t low = eight_halves(from);
    return {{vcvt_f32_f16(vget_low_f16(low)), vcvt_f32_f16(vget_high_f16(low)), vdupq_n_f32(0), vdupq_n_f32(0)}};
  }
  static F set_half(const std::byte* from) {
    uint16_t half = 0;
    __builtin_memcpy(&half, from, sizeof half);
    const float32x4_t value = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
    return each([=](int) { return value; });
  }
  static F load_int8(const std::byte* from) {
    const int8x16_t bytes = vld1q_s8(reinterpret_cast<const int8_t*>(from));
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes));
    const int16x8_t high = vmovl_s8(vget_high_s8(bytes));
    return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(low))),
             vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(high)))}};
  }
  static void store_half(uint16_t* to, F value) {
    for (int i = 0; i < 4; ++i) {
      const float32x4_t x = value.part[i];
      const float32x4_t number = vreinterpretq_f32_u32(vandq_u32(vceqq_f32(x, x), vreinterpretq_u32_f32(x)));
      const float32x4_t finite = vmaxq_f32(vminq_f32(number, vdupq_n_f32(65504)), vdupq_n_f32(-65504));
      vst1_u16(to + i * 4, vreinterpret_u16_f16(vcvt_f16_f32(finite)));
    }
  }
  static F add(F a, F b) {
    return each([&](int i) { return vaddq_f32(a.part[i], b.part[i]); });
  }
  static F sub(F a, F b) {
    return each([&](int i) { return vsubq_f32(a.part[i], b.part[i]); });
  }
  static F mul(F a, F b) {
    return each([&](int i) { return vmulq_f32(a.part[i], b.part[i]); });
  }
  static F div(F a, F b) {
    return each([&](int i) { return vdivq_f32(a.part[i], b.part[i]); });
  }
  static float32x4_t greater(float32x4_t a, float32x4_t b) {  // as x86 does it for NaN and the two zeros
    return vbslq_f32(vcgtq_f32(a, b), a, b);
  }
  static F max(F a, F b) {
    return each([&](int i) { return greater(a.part[i], b.part[i]); });
  }
  static F fma(F a, F b, F c) {
    return each([&](int i) { return vfmaq_f32(c.part[i], a.part[i], b.part[i]); });
  }
  static F zero_below(F x, float bound, F value) {
    return each([&](int i) {
      const uint32x4_t kept = vcgeq_f32(x.part[i], vdupq_n_f32(bound));
      return vreinterpretq_f32_u32(vandq_u32(kept, vreinterpretq_u32_f32(value.part[i])));
    });
  }
  static F add_to_exponent(F value, F shifted) {
    return each([&](int i) {
      const uint32x4_t exponent = vshlq_n_u32(vreinterpretq_u32_f32(shifted.part[i]), 23);
      return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(value.part[i]), exponent));
    });
  }
  static float reduce_max(F value) {
    const float32x4_t four = greater(greater(value.part[0], value.part[2]), greater(value.part[1], value.part[3]));
    const float32x4_t two = greater(four, vextq_f32(four, four, 2));
    return vgetq_lane_f32(greater(two, vextq_f32(two, two, 1)), 0);
  }
  static float reduce_add(F value) {  // lane i + lane i + 8, then + 4, + 2, + 1
    const float32x4_t four =
        vaddq_f32(vaddq_f32(value.part[0], value.part[2]), vaddq_f32(value.part[1], value.part[3]));
    const float32x4_t two = vaddq_f32(four, vextq_f32(four, four, 2));
    return vgetq_lane_f32(vaddq_f32(two, vextq_f32(two, two, 1)), 0);
  }
};

}  // namespace

const AttentionKernels* neon_kernels() { return Kernel<Neon>::table("neon"); }

}  // namespace payonce::engine

#else
namespace payonce::engine {
const AttentionKernels* neon_kernels() { return nullptr; }
}  // namespace payonce::engine
#endif
