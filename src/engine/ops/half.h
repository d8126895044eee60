// 16-bit floating point, by integer operations alone: what every instruction set's own conversion must equal.
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <cstring>

namespace payonce::engine {

inline constexpr float kMaxHalf = 65504;

inline uint32_t bits_of(float value) {
  uint32_t bits = 0;
  std::memcpy(&bits, &value, sizeof bits);
  return bits;
}
inline float float_of(uint32_t bits) {
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

inline float half_to_float(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000U) << 16U;
  const uint32_t magnitude = half & 0x7fffU;
  if (magnitude >= 0x7c00U) return float_of(sign | 0x7f800000U | ((magnitude & 0x3ffU) << 13U));
  if (magnitude < 0x400U) {  // subnormal: a multiple of 2^-24, which a float holds exactly
    const float value = static_cast<float>(magnitude) * 0x1p-24F;
    return float_of(sign | bits_of(value));
  }
  return float_of(sign | ((magnitude << 13U) + (112U << 23U)));
}

// Round to nearest, ties to even. What is too large becomes +-kMaxHalf and NaN becomes 0: a page never holds a number
// that could spoil a sum in which it has no part, since 0 * x is 0 only for finite x.
inline uint16_t finite_half(float value) {
  const uint32_t bits = bits_of(value);
  const uint32_t sign = (bits >> 16U) & 0x8000U;
  uint32_t magnitude = bits & 0x7fffffffU;
  if (magnitude > 0x7f800000U) return 0;
  if (magnitude > 0x477fe000U) magnitude = 0x477fe000U;  // 65504
  if (magnitude < 0x38800000U) {  // below 2^-14: adding 1/2 makes a float's last bit worth 2^-24 and rounds to it
    return static_cast<uint16_t>(sign | (bits_of(float_of(magnitude) + 0.5F) - 0x3f000000U));
  }
  const uint32_t rebased = magnitude - (112U << 23U);
  return static_cast<uint16_t>(sign | ((rebased + 0xfffU + ((rebased >> 13U) & 1U)) >> 13U));
}

}  // namespace payonce::engine
