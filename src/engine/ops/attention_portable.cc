// 16 lanes are a loop: for CPUs without any of the other files' instructions, and to test those against.
#include "engine/ops/attention_kernel.h"
#include "engine/ops/half.h"

namespace payonce::engine {
namespace {

struct Portable {
  struct F {
    float lane[kLanes];
  };
  static constexpr int kSums = 4;
  static constexpr int kScoreVectors = 4;
  static constexpr int kValueVectors = 4;

  template <class Function>
  static F each(Function function) {
    F result;
    for (int i = 0; i < kLanes; ++i) result.lane[i] = function(i);
    return result;
  }
  static uint16_t half_at(const std::byte* from) {
    uint16_t half = 0;
    __builtin_memcpy(&half, from, sizeof half);
    return half;
  }
  static F set(float value) {
    return each([=](int) { return value; });
  }
  static F load(const float* from) {
    return each([=](int i) { return from[i]; });
  }
  static void store(float* to, F value) {
    for (int i = 0; i < kLanes; ++i) to[i] = value.lane[i];
  }
  static F load_half(const std::byte* from) {
    return each([=](int i) { return half_to_float(half_at(from + i * 2)); });
  }
  static F load_8_halves(const std::byte* from) {
    return each([=](int i) { return i < 8 ? half_to_float(half_at(from + i * 2)) : 0; });
  }
  static F set_half(const std::byte* from) { return set(half_to_float(half_at(from))); }
  static F load_int8(const std::byte* from) {
    return each([=](int i) { return static_cast<float>(static_cast<int8_t>(from[i])); });
  }
  static void store_half(uint16_t* to, F value) {
    for (int i = 0; i < kLanes; ++i) to[i] = finite_half(value.lane[i]);
  }
  static F add(F a, F b) {
    return each([&](int i) { return a.lane[i] + b.lane[i]; });
  }
  static F sub(F a, F b) {
    return each([&](int i) { return a.lane[i] - b.lane[i]; });
  }
  static F mul(F a, F b) {
    return each([&](int i) { return a.lane[i] * b.lane[i]; });
  }
  static F div(F a, F b) {
    return each([&](int i) { return a.lane[i] / b.lane[i]; });
  }
  static float greater(float a, float b) { return a > b ? a : b; }  // as x86 does it for NaN and the two zeros
  static F max(F a, F b) {
    return each([&](int i) { return greater(a.lane[i], b.lane[i]); });
  }
  static F fma(F a, F b, F c) {
    return each([&](int i) { return __builtin_fmaf(a.lane[i], b.lane[i], c.lane[i]); });
  }
  static F zero_below(F x, float bound, F value) {
    return each([&](int i) { return x.lane[i] >= bound ? value.lane[i] : 0; });
  }
  static F add_to_exponent(F value, F shifted) {
    return each([&](int i) { return float_of(bits_of(value.lane[i]) + (bits_of(shifted.lane[i]) << 23U)); });
  }
  template <class Function>
  static float reduce(F value, Function function) {
    for (int distance = kLanes / 2; distance > 0; distance /= 2) {
      for (int i = 0; i < distance; ++i) value.lane[i] = function(value.lane[i], value.lane[i + distance]);
    }
    return value.lane[0];
  }
  static float reduce_max(F value) { return reduce(value, greater); }
  static float reduce_add(F value) {  // lane i + lane i + 8, then + 4, + 2, + 1
    return reduce(value, [](float a, float b) { return a + b; });
  }
};

}  // namespace

const AttentionKernels* portable_kernels() { return Kernel<Portable>::table("portable"); }

}  // namespace payonce::engine
