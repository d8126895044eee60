#include "engine/ops/pages.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "engine/ops/attention_kernels.h"
#include "engine/ops/half.h"

namespace payonce::engine {
namespace {

constexpr int kGroup = 32;  // dimensions that share a scale in kQ8_0

// `to` [kGroup] gets round(from / scale); returns the scale as it is stored, by which readers multiply.
uint16_t quantise(const float* from, int8_t* to) {
  float largest = 0;
  for (int i = 0; i < kGroup; ++i) {
    const float magnitude = std::fabs(from[i]);
    if (magnitude > largest) largest = magnitude;  // NaN never is
  }
  const uint16_t scale = finite_half(largest / 127);
  const float stored = half_to_float(scale);
  const float inverse = stored > 0 ? 1 / stored : 0;
  for (int i = 0; i < kGroup; ++i) {
    float value = from[i] * inverse;
    if (!(value > -127)) value = value <= -127 ? -127.0F : 0.0F;  // NaN: 0
    if (value > 127) value = 127;
    to[i] = static_cast<int8_t>(value + 0x1.8p23F - 0x1.8p23F);  // to nearest, ties to even
  }
  return scale;
}

template <class T>
T* at(std::byte* bytes, size_t index) {
  return reinterpret_cast<T*>(bytes) + index;
}

// One head of one token, F16.
void store_f16(size_t head_dim, std::byte* tiles, size_t slot, const float* keys, const float* values) {
  const auto to_half = attention_kernels().to_half;
  auto* key_tile = at<uint16_t>(tiles, 0);
  auto* value_tile = at<uint16_t>(tiles, head_dim * kPageTokens);
  uint16_t halves[64];
  for (size_t begin = 0; begin < head_dim; begin += std::size(halves)) {
    const size_t count = std::min(std::size(halves), head_dim - begin);
    to_half(keys + begin, halves, count);
    for (size_t i = 0; i < count; ++i) key_tile[(begin + i) * kPageTokens + slot] = halves[i];
  }
  to_half(values, value_tile + slot * head_dim, head_dim);
}

void store_q8(size_t head_dim, std::byte* tiles, size_t slot, const float* keys, const float* values) {
  const size_t groups = head_dim / kGroup;
  std::byte* value_tile = tiles + head_dim * kPageTokens + groups * kPageTokens * 2;
  auto* key_scales = at<uint16_t>(tiles + head_dim * kPageTokens, 0);
  auto* value_scales = at<uint16_t>(value_tile + head_dim * kPageTokens, 0);
  int8_t quants[kGroup];
  for (size_t group = 0; group < groups; ++group) {
    key_scales[group * kPageTokens + slot] = quantise(keys + group * kGroup, quants);
    for (size_t i = 0; i < kGroup; ++i) *at<int8_t>(tiles, (group * kGroup + i) * kPageTokens + slot) = quants[i];
    value_scales[slot * groups + group] =
        quantise(values + group * kGroup, at<int8_t>(value_tile, slot * head_dim + group * kGroup));
  }
}

}  // namespace

std::string_view kv_type_name(KvType type) { return type == KvType::kF16 ? "f16" : "q8_0"; }

size_t tile_bytes(const PageShape& shape) {
  const auto head_dim = static_cast<size_t>(shape.head_dim);
  if (shape.type == KvType::kF16) return head_dim * kPageTokens * 2;
  return head_dim * kPageTokens + head_dim / kGroup * kPageTokens * 2;
}

size_t page_bytes(const PageShape& shape) { return static_cast<size_t>(shape.kv_heads) * 2 * tile_bytes(shape); }

void store_token(const PageShape& shape, void* page, int slot, const float* keys, const float* values) {
  const auto head_dim = static_cast<size_t>(shape.head_dim);
  const size_t head_bytes = 2 * tile_bytes(shape);
  const auto store = shape.type == KvType::kF16 ? store_f16 : store_q8;
  for (size_t head = 0; head < static_cast<size_t>(shape.kv_heads); ++head) {
    store(head_dim, static_cast<std::byte*>(page) + head * head_bytes, static_cast<size_t>(slot),
          keys + head * head_dim, values + head * head_dim);
  }
}

void store_rows(const PageShape& shape, void* pool, const int64_t* slots, const float* keys, const float* values,
                int first_row, int rows) {
  const size_t row_floats = static_cast<size_t>(shape.kv_heads) * static_cast<size_t>(shape.head_dim);
  const size_t bytes = page_bytes(shape);
  for (auto row = static_cast<size_t>(first_row); row < static_cast<size_t>(first_row + rows); ++row) {
    if (slots[row] < 0) continue;
    const auto slot = static_cast<size_t>(slots[row]);
    store_token(shape, static_cast<std::byte*>(pool) + slot / kPageTokens * bytes,
                static_cast<int>(slot % kPageTokens), keys + row * row_floats, values + row * row_floats);
  }
}

}  // namespace payonce::engine
