// The kernels, written once for a vector of V::kLanes numbers. V gives the compiler's vector types F (float) and I
// (int32), and what the compiler cannot be told in operators: a fused multiply-add, and the sum of two products of 16
// bits. Internal.
#pragma once

#include "embed/kernels.h"

namespace payonce::embed {

template <class V>
struct Kernel {
  using F = typename V::F;
  using I = typename V::I;
  static constexpr int kLanes = V::kLanes;
  static_assert(kWidthStep % kLanes == 0);

  static F set(float value) { return value - F{}; }
  static F load(const float* from) {
    F out;
    __builtin_memcpy(&out, from, sizeof out);
    return out;
  }
  static void store(float* to, F value) { __builtin_memcpy(to, &value, sizeof value); }
  static F bits_to_float(I bits) {
    F out;
    __builtin_memcpy(&out, &bits, sizeof out);
    return out;
  }
  static F larger(F a, F b) { return a > b ? a : b; }
  static F smaller(F a, F b) { return a < b ? a : b; }
  static float sum_of(F value) {
    float sum = 0;
    for (int i = 0; i < kLanes; ++i) sum += value[i];
    return sum;
  }
  static float largest_of(F value) {
    float largest = value[0];
    for (int i = 1; i < kLanes; ++i) largest = largest > value[i] ? largest : value[i];
    return largest;
  }

  // Nearest integers, for |x| < 2^22: adding 1.5 * 2^23 leaves them in the low bits.
  static I round(F x) {
    const F shifted = x + 0x1.8p23F;
    I bits;
    __builtin_memcpy(&bits, &shifted, sizeof bits);
    return bits - 0x4B400000;
  }

  // 2^x for x <= 0: 2^n by the exponent, 2^f for f in [-1/2, 1/2] by its series to degree 6 (relative error 2e-7).
  static F exp2(F x) {
    x = larger(x, set(-125));  // nothing subnormal
    const I n = round(x);
    const F f = x - __builtin_convertvector(n, F);
    F p = set(0x1.430912p-13F);
    p = V::fma(p, f, set(0x1.5d87fep-10F));
    p = V::fma(p, f, set(0x1.3b2ab7p-7F));
    p = V::fma(p, f, set(0x1.c6b08ep-5F));
    p = V::fma(p, f, set(0x1.ebfbe0p-3F));
    p = V::fma(p, f, set(0x1.62e430p-1F));
    p = V::fma(p, f, set(1));
    return p * bits_to_float((n + 127) << 23);
  }

  // ---- rows to integers ------------------------------------------------------------------------------

  static void quantize(const float* in, int rows, int width, int16_t* out, float* scales) {
    for (int r = 0; r < rows; ++r, in += width, out += width) {
      F largest{}, squares{};
      for (int i = 0; i < width; i += kLanes) {
        const F x = load(in + i);
        largest = larger(largest, larger(x, -x));
        squares = V::fma(x, x, squares);
      }
      const float part = largest_of(largest), length = __builtin_sqrtf(sum_of(squares));
      float scale = 0;
      if (part > 0) scale = smaller_of(static_cast<float>(kMaxPart) / part, kRowLength / length);
      for (int i = 0; i < width; i += kLanes) V::store_16_bits(out + i, round(load(in + i) * scale));
      scales[r] = scale > 0 ? 1 / scale : 0;
    }
  }
  static float smaller_of(float a, float b) { return a < b ? a : b; }

  // ---- matrices ----------------------------------------------------------------------------------------

  // kRows rows times kGroups groups of outputs stay in registers while the inputs go by.
  template <int kRows, int kGroups>
  static void tile(const PackedMatrix& matrix, int group, const int16_t* in, const float* scales, float* out) {
    I sums[kRows][kGroups];
    for (int r = 0; r < kRows; ++r) {
      for (int g = 0; g < kGroups; ++g) sums[r][g] = I{};
    }
    const int inputs = matrix.inputs;
    const int16_t* weights = matrix.numbers + int64_t{group} * kLanes * inputs;
    const int64_t next_group = int64_t{kLanes} * inputs;
    for (int i = 0; i < inputs; i += 2, weights += 2 * kLanes) {
      typename V::Pairs w[kGroups];
      for (int g = 0; g < kGroups; ++g) w[g] = V::load_pairs(weights + g * next_group);
      for (int r = 0; r < kRows; ++r) {
        const typename V::Pairs x = V::set_pair(in + int64_t{r} * inputs + i);
        for (int g = 0; g < kGroups; ++g) sums[r][g] = V::add_products(sums[r][g], w[g], x);
      }
    }
    for (int g = 0; g < kGroups; ++g) {
      const int o = (group + g) * kLanes;
      const F scale = load(matrix.scales + o), bias = load(matrix.bias + o);
      for (int r = 0; r < kRows; ++r) {
        const F sum = __builtin_convertvector(sums[r][g], F);
        store(out + int64_t{r} * matrix.outputs + o, V::fma(sum, scale * scales[r], bias));
      }
    }
  }

  template <int kRows>
  static void tile_of(int rows, const PackedMatrix& matrix, int group, int groups, const int16_t* in,
                      const float* scales, float* out) {
    if constexpr (kRows > 1) {
      if (rows < kRows) return tile_of<kRows - 1>(rows, matrix, group, groups, in, scales, out);
    }
    if (groups == 2) {
      tile<kRows, 2>(matrix, group, in, scales, out);
    } else {
      tile<kRows, 1>(matrix, group, in, scales, out);
    }
  }

  static void multiply(const PackedMatrix& matrix, const int16_t* in, const float* scales, int rows, float* out) {
    const int groups = matrix.outputs / kLanes;
    const int tiles = (rows + V::kRows - 1) / V::kRows;
    for (int group = 0; group < groups; group += 2) {
      const int count = group + 1 < groups ? 2 : 1;
      for (int t = 0, row = 0; t < tiles; ++t) {
        const int size = rows / tiles + (t < rows % tiles ? 1 : 0);  // nearly equal ones
        tile_of<V::kRows>(size, matrix, group, count, in + int64_t{row} * matrix.inputs, scales + row,
                          out + int64_t{row} * matrix.outputs);
        row += size;
      }
    }
  }

  // ---- between matrices --------------------------------------------------------------------------------

  static void norm(float* x, const float* added, int rows, int width, float epsilon, const float* gain,
                   const float* shift) {
    const float part = 1.0F / static_cast<float>(width);
    for (int r = 0; r < rows; ++r, x += width) {
      F sum{};
      for (int i = 0; i < width; i += kLanes) {
        F value = load(x + i);
        if (added != nullptr) {
          value += load(added + int64_t{r} * width + i);
          store(x + i, value);
        }
        sum += value;
      }
      const float mean = sum_of(sum) * part;
      F squares{};
      for (int i = 0; i < width; i += kLanes) {
        const F value = load(x + i) - mean;
        squares = V::fma(value, value, squares);
      }
      const float factor = 1 / __builtin_sqrtf(sum_of(squares) * part + epsilon);
      for (int i = 0; i < width; i += kLanes) {
        store(x + i, V::fma((load(x + i) - mean) * factor, load(gain + i), load(shift + i)));
      }
    }
  }

  // erf by Abramowitz and Stegun 7.1.26: absolute error 1.5e-7.
  static void gelu(float* x, int64_t count) {
    for (int64_t i = 0; i < count; i += kLanes) {
      const F value = load(x + i);
      const F size = larger(value, -value) * 0x1.6a09e6p-1F;  // |x| / sqrt 2
      const F t = 1 / V::fma(size, set(0.3275911F), set(1));
      F p = set(1.061405429F);
      p = V::fma(p, t, set(-1.453152027F));
      p = V::fma(p, t, set(1.421413741F));
      p = V::fma(p, t, set(-0.284496736F));
      p = V::fma(p, t, set(0.254829592F));
      const F rest = p * t * exp2(size * size * -0x1.715476p0F);  // 1 - erf(|x| / sqrt 2)
      store(x + i, value * 0.5F * (value < 0 ? rest : 2 - rest));
    }
  }

  // ---- attention -----------------------------------------------------------------------------------------

  // scores[q][k] in base 2, for kQueries queries and all keys; [dimension][key] is how keys lie.
  template <int kQueries>
  static void score(const AttentionJob& job, const float* queries, const float* keys, float* scores) {
    const int padded = padded_rows(job.rows);
    const float scale = job.scale * 0x1.715476p0F;  // log2 e
    for (int k = 0; k < padded; k += kLanes) {
      F sums[kQueries];
      for (int q = 0; q < kQueries; ++q) sums[q] = F{};
      for (int d = 0; d < job.head_dim; ++d) {
        const F key = load(keys + int64_t{d} * padded + k);
        for (int q = 0; q < kQueries; ++q) {
          sums[q] = V::fma(set(queries[int64_t{q} * job.stride + d]), key, sums[q]);
        }
      }
      for (int q = 0; q < kQueries; ++q) store(scores + int64_t{q} * padded + k, sums[q] * scale);
    }
  }

  // Scores to weights; returns 1 / their sum. What stands behind the last key weighs nothing.
  static float weigh(float* scores, int keys) {
    const int padded = padded_rows(keys);
    for (int k = keys; k < padded; ++k) scores[k] = -0x1p100F;
    F largest = load(scores);
    for (int k = kLanes; k < padded; k += kLanes) largest = larger(largest, load(scores + k));
    const float top = largest_of(largest);
    F sum{};
    for (int k = 0; k < padded; k += kLanes) {
      const F weight = exp2(load(scores + k) - top);
      store(scores + k, weight);
      sum += weight;
    }
    return 1 / sum_of(sum);
  }

  template <int kQueries>
  static void mix(const AttentionJob& job, const float* weights, const float* factors, const float* values,
                  float* out) {
    const int padded = padded_rows(job.rows), width = job.heads * job.head_dim;
    for (int d = 0; d < job.head_dim; d += kWidthStep) {
      constexpr int kParts = kWidthStep / kLanes;
      F sums[kQueries][kParts];
      for (int q = 0; q < kQueries; ++q) {
        for (int p = 0; p < kParts; ++p) sums[q][p] = F{};
      }
      for (int k = 0; k < job.rows; ++k) {
        F value[kParts];
        for (int p = 0; p < kParts; ++p) value[p] = load(values + int64_t{k} * job.stride + d + p * kLanes);
        for (int q = 0; q < kQueries; ++q) {
          const F weight = set(weights[int64_t{q} * padded + k]);
          for (int p = 0; p < kParts; ++p) sums[q][p] = V::fma(weight, value[p], sums[q][p]);
        }
      }
      for (int q = 0; q < kQueries; ++q) {
        for (int p = 0; p < kParts; ++p) {
          store(out + int64_t{q} * width + d + p * kLanes, sums[q][p] * factors[q]);
        }
      }
    }
  }

  template <int kQueries>
  static void attend_queries(const AttentionJob& job, int head, int row, const float* keys, float* scores) {
    const int width = job.heads * job.head_dim, at = head * job.head_dim;
    float factors[kQueries];
    score<kQueries>(job, job.qkv + int64_t{row} * job.stride + at, keys, scores);
    for (int q = 0; q < kQueries; ++q) factors[q] = weigh(scores + int64_t{q} * padded_rows(job.rows), job.rows);
    mix<kQueries>(job, scores, factors, job.qkv + 2 * width + at, job.out + int64_t{row} * width + at);
  }

  static void attend(const AttentionJob& job) {
    const int padded = padded_rows(job.rows), width = job.heads * job.head_dim;
    float* const keys = job.scratch;
    float* const scores = keys + int64_t{padded} * job.head_dim;
    for (int head = 0; head < job.heads; ++head) {
      const float* const from = job.qkv + width + head * job.head_dim;
      for (int d = 0; d < job.head_dim; ++d) {
        float* const to = keys + int64_t{d} * padded;
        for (int k = 0; k < job.rows; ++k) to[k] = from[int64_t{k} * job.stride + d];
        for (int k = job.rows; k < padded; ++k) to[k] = 0;
      }
      int row = 0;
      for (; row + kQueryTile <= job.rows; row += kQueryTile)
        attend_queries<kQueryTile>(job, head, row, keys, scores);
      for (; row < job.rows; ++row) attend_queries<1>(job, head, row, keys, scores);
    }
  }

  static const Kernels* table(const char* isa) {
    static constexpr auto make = [](const char* name) {
      return Kernels{name, kLanes, &quantize, &multiply, &norm, &gelu, &attend};
    };
    static const Kernels kernels = make(isa);
    return &kernels;
  }
};

}  // namespace payonce::embed
