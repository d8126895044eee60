#include "engine/ops/pages.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <cmath>
#include <limits>

#include "engine/ops/attention_fixture.h"

namespace payonce::engine {
namespace {

constexpr const char* kIsas[] = {"avx512", "avx2", "neon", "portable"};

TEST(Half, EveryHalfComesBack) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    if ((bits & 0x7c00U) == 0x7c00U) continue;
    EXPECT_EQ(finite_half(half_to_float(static_cast<uint16_t>(bits))), bits);
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = half_to_float(static_cast<uint16_t>(bits));
    const float high = half_to_float(static_cast<uint16_t>(bits + 1));
    const float middle = (low + high) / 2;
    EXPECT_EQ(finite_half(middle), bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(finite_half(std::nextafterf(middle, 0)), bits);
    EXPECT_EQ(finite_half(std::nextafterf(middle, 1e6F)), bits + 1);
  }
}

TEST(Half, IsAlwaysFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(half_to_float(finite_half(kInfinity)), kMaxHalf);
  EXPECT_EQ(half_to_float(finite_half(-kInfinity)), -kMaxHalf);
  EXPECT_EQ(half_to_float(finite_half(1e9F)), kMaxHalf);
  EXPECT_EQ(finite_half(std::numeric_limits<float>::quiet_NaN()), 0);
}

TEST(Half, EveryInstructionSetConvertsTheSameBits) {
  std::vector<float> numbers;
  for (uint64_t bits = 0; bits < 0x100000000; bits += 4099) numbers.push_back(float_of(static_cast<uint32_t>(bits)));
  for (uint32_t half = 0; half < 0x7c00; ++half) {  // and where rounding changes
    const float low = half_to_float(static_cast<uint16_t>(half));
    const float middle = (low + half_to_float(static_cast<uint16_t>(half + 1))) / 2;
    for (const float number : {low, middle, std::nextafterf(middle, 0), std::nextafterf(middle, 1e6F)}) {
      numbers.push_back(number);
      numbers.push_back(-number);
    }
  }
  std::vector<uint16_t> halves(numbers.size());
  for (const char* isa : kIsas) {
    const AttentionKernels* kernels = attention_kernels(isa);
    if (kernels == nullptr) continue;
    kernels->to_half(numbers.data(), halves.data(), numbers.size());
    for (size_t i = 0; i < numbers.size(); ++i) {
      ASSERT_EQ(halves[i], finite_half(numbers[i])) << isa << " of " << bits_of(numbers[i]);
    }
  }
}

TEST(Pages, SizesFollowTheLayout) {
  EXPECT_EQ(tile_bytes({3, 64, KvType::kF16}), 64 * 16 * 2);
  EXPECT_EQ(page_bytes({3, 64, KvType::kF16}), 3 * 2 * 64 * 16 * 2);
  EXPECT_EQ(tile_bytes({1, 256, KvType::kQ8_0}), 256 * 16 + 8 * 16 * 2);
  for (const int head_dim : {32, 64, 96, 128, 256}) {
    for (const KvType type : {KvType::kF16, KvType::kQ8_0}) EXPECT_EQ(page_bytes({1, head_dim, type}) % 64, 0);
  }
}

TEST(Pages, EachNumberIsStoredWhereTheHeaderSays) {
  Scene scene({.q_heads = 3, .kv_heads = 3, .head_dim = 40});
  const auto keys = scene.numbers(scene.row_floats(3), 1);
  const auto values = scene.numbers(scene.row_floats(3), 1);
  store_token(scene.shape.page, scene.page(7), 11, keys.data(), values.data());
  for (int head = 0; head < 3; ++head) {
    for (int d = 0; d < 40; ++d) {
      const auto i = static_cast<size_t>(head * 40 + d);
      EXPECT_EQ(scene.number(7, head, false, 11, d), half_to_float(finite_half(keys[i])));
      EXPECT_EQ(scene.number(7, head, true, 11, d), half_to_float(finite_half(values[i])));
      EXPECT_EQ(scene.number(7, head, false, 10, d), 0);
      EXPECT_EQ(scene.number(7, head, true, 12, d), 0);
    }
  }
}

TEST(Pages, Q8IsWithinHalfAStep) {
  rc::check([](uint64_t seed) {
    Scene scene({.q_heads = 2, .kv_heads = 2, .head_dim = 64, .type = KvType::kQ8_0, .seed = seed});
    const auto scale = std::exp2(static_cast<float>(seed % 24) - 12);
    const auto keys = scene.numbers(scene.row_floats(2), scale);
    const auto values = scene.numbers(scene.row_floats(2), scale);
    store_token(scene.shape.page, scene.page(3), 5, keys.data(), values.data());
    for (int i = 0; i < 128; ++i) {
      for (const bool of_values : {false, true}) {
        const auto& from = of_values ? values : keys;
        const auto group = from.begin() + i / 32 * 32;
        float largest = 0;
        for (int j = 0; j < 32; ++j) largest = std::max(largest, std::fabs(group[j]));
        // Half a step, and what the scale loses as F16, up to 127 steps of it.
        const double bound = largest / 127 * 0.5 * 1.002 + std::max(largest * 0x1p-11, 127 * 0x1p-25);
        RC_ASSERT(std::fabs(scene.number(3, i / 64, of_values, 5, i % 64) - from[static_cast<size_t>(i)]) <= bound);
      }
    }
  });
}

TEST(Pages, NumbersThatAreNotFiniteAreStoredAsFiniteOnes) {
  for (const KvType type : {KvType::kF16, KvType::kQ8_0}) {
    Scene scene({.q_heads = 1, .kv_heads = 1, .head_dim = 32, .type = type});
    auto keys = scene.numbers(32, 1);
    keys[3] = std::numeric_limits<float>::quiet_NaN();
    keys[4] = -std::numeric_limits<float>::infinity();
    keys[5] = 1e30F;
    store_token(scene.shape.page, scene.page(0), 0, keys.data(), keys.data());
    for (const bool values : {false, true}) {
      for (int d = 0; d < 32; ++d) EXPECT_TRUE(std::isfinite(scene.number(0, 0, values, 0, d)));
      EXPECT_EQ(scene.number(0, 0, values, 0, 3), 0);
      EXPECT_LT(scene.number(0, 0, values, 0, 4), -60000);
    }
  }
}

TEST(Pages, RowsGoToTheirSlots) {
  Scene one({.q_heads = 2, .kv_heads = 2, .head_dim = 64});
  Scene all({.q_heads = 2, .kv_heads = 2, .head_dim = 64});
  const auto keys = one.numbers(5 * one.row_floats(2), 1);
  const auto values = one.numbers(5 * one.row_floats(2), 1);
  const int64_t slots[] = {40, 41, -1, 3, 500};
  for (size_t row : {0U, 1U, 3U, 4U}) {
    const auto offset = row * one.row_floats(2);
    store_token(one.shape.page, one.page(static_cast<int32_t>(slots[row] / 16)), static_cast<int>(slots[row] % 16),
                keys.data() + offset, values.data() + offset);
  }
  store_rows(all.shape.page, all.pool.data(), slots, keys.data(), values.data(), 0, 2);
  store_rows(all.shape.page, all.pool.data(), slots, keys.data(), values.data(), 2, 3);
  EXPECT_EQ(one.pool, all.pool);
}

}  // namespace
}  // namespace payonce::engine
