// The kernels, written once for 16 lanes. An instruction set gives a type V: its vector F of 16 floats, loads, and
// the operations below, each exactly rounded. It thus decides speed only, never a bit of a result. Internal.
//
// Scores: s[0..15] = sum over d in order of q[d] * k[d][0..15], fused. A register tile is R vectors x B key tiles: a
// key is loaded once for R vectors, a query once for B tiles, and R * B sums are in flight to hide the latency of
// each. Values: acc[0..15] = sum over t in order of p[t] * v[t][0..15], fused; R vectors x C columns of 16
// dimensions. The size of a tile decides nothing about the order of any sum.
#pragma once

#include "engine/ops/attention_kernels.h"

namespace payonce::engine {

template <class V>
struct Kernel {
  using F = typename V::F;
  static constexpr int kGroup = 32;  // dimensions that share a scale in kQ8_0

  static constexpr int power_of_two_up_to(int limit) { return limit >= 8 ? 8 : limit >= 4 ? 4 : limit >= 2 ? 2 : 1; }
  static constexpr int tiles_for(int vectors) { return power_of_two_up_to(V::kSums / vectors); }
  // `vectors` in `parts` nearly equal parts: the first ones have one more.
  static int part_size(int vectors, int parts, int part) {
    return vectors / parts + (part < vectors % parts ? 1 : 0);
  }

  // 2^x for x <= 0: n = round(x), a polynomial of degree 6 for 2^(x - n) (relative error 3e-9), and n added to the
  // exponent. 0 below -125 (and for NaN, which -inf - -inf gives), so that no result is subnormal.
  static F exp2(F x) {
    const F shifter = V::set(0x1.8p23F);
    const F shifted = V::add(x, shifter);  // n stands in the low bits
    const F f = V::sub(x, V::sub(shifted, shifter));
    F p = V::set(0x1.470b48p-13F);
    p = V::fma(p, f, V::set(0x1.5f7276p-10F));
    p = V::fma(p, f, V::set(0x1.3b270ep-7F));
    p = V::fma(p, f, V::set(0x1.c6ae72p-5F));
    p = V::fma(p, f, V::set(0x1.ebfbe2p-3F));
    p = V::fma(p, f, V::set(0x1.62e432p-1F));
    p = V::fma(p, f, V::set(1));
    return V::zero_below(x, -125, V::add_to_exponent(p, shifted));
  }

  // ---- scores --------------------------------------------------------------------------------------

  template <KvType kType>
  static F load_key(const std::byte* tile, int d, F scale) {
    if constexpr (kType == KvType::kF16) return V::load_half(tile + size_t(d) * (kLanes * 2));
    return V::mul(V::load_int8(tile + size_t(d) * kLanes), scale);  // exact: 8 bits * 11 bits
  }

  // Queries lie as [d][R], so that one base address serves all.
  template <int R, int B, KvType kType>
  static void score_tile(const ChunkJob& job, const float* queries, int block, float* scores,
                         const std::byte** ahead) {
    constexpr int kDimensionBytes = kLanes * (kType == KvType::kF16 ? 2 : 1);
    F sums[R][B];
    const std::byte* tiles[B];
    for (int b = 0; b < B; ++b) tiles[b] = job.keys[block + b < job.blocks ? block + b : job.blocks - 1];
    for (int r = 0; r < R; ++r) {
      for (int b = 0; b < B; ++b) sums[r][b] = V::set(0);
    }
    int d = 0;
    do {  // loops that run at least once keep their sums in registers
      F scales[B];
      for (int b = 0; b < B; ++b) {
        const size_t at = size_t(job.head_dim) * kLanes + size_t(d) / kGroup * (kLanes * 2);
        scales[b] = kType == KvType::kQ8_0 ? V::load_half(tiles[b] + at) : V::set(1);
      }
      const int end = d + kGroup < job.head_dim ? d + kGroup : job.head_dim;
      do {
        F key[B];
        for (int b = 0; b < B; ++b) key[b] = load_key<kType>(tiles[b], d, scales[b]);
        if (ahead != nullptr && d % (64 / kDimensionBytes) == 0) {
          for (int b = 0; b < B; ++b) __builtin_prefetch(ahead[b] + size_t(d) * kDimensionBytes);
        }
        for (int r = 0; r < R; ++r) {
          const F query = V::set(queries[d * R + r]);
          for (int b = 0; b < B; ++b) sums[r][b] = V::fma(query, key[b], sums[r][b]);
        }
      } while (++d < end);
    } while (d < job.head_dim);
    for (int r = 0; r < R; ++r) {
      for (int b = 0; b < B; ++b) V::store(scores + r * kScoreStride + (block + b) * kLanes, sums[r][b]);
    }
  }

  // All blocks for R vectors. Blocks beyond the last repeat it, within the row of scores, and are not looked at.
  template <int R, KvType kType>
  static void score_vectors(const ChunkJob& job, const float* queries, float* scores, bool prefetch) {
    constexpr int B = tiles_for(R);
    for (int block = 0; block < job.blocks; block += B) {
      const std::byte* ahead[B];
      for (int b = 0; b < B; ++b) {
        const int next = block + B + b;
        ahead[b] =
            next < job.blocks ? job.keys[next] : job.values[next - job.blocks < job.blocks ? next - job.blocks : 0];
      }
      score_tile<R, B, kType>(job, queries, block, scores, prefetch ? ahead : nullptr);
    }
  }

  template <KvType kType, int R = V::kScoreVectors>
  static void score_part(int vectors, const ChunkJob& job, const float* queries, float* scores, bool prefetch) {
    if (vectors == R) return score_vectors<R, kType>(job, queries, scores, prefetch);
    if constexpr (R > 1) score_part<kType, R - 1>(vectors, job, queries, scores, prefetch);
  }

  static int score_parts(int vectors) { return (vectors + V::kScoreVectors - 1) / V::kScoreVectors; }

  static void pack(const float* const* queries, int vectors, int head_dim, float scale, float* packed) {
    const float factor = scale * 0x1.715476p0F;  // log2(e)
    const int parts = score_parts(vectors);
    for (int part = 0; part < parts; ++part) {
      const int size = part_size(vectors, parts, part);
      for (int r = 0; r < size; ++r) {
        for (int d = 0; d < head_dim; ++d) packed[d * size + r] = queries[r][d] * factor;
      }
      queries += size;
      packed += size * head_dim;
    }
  }

  template <KvType kType>
  static void score(const ChunkJob& job) {
    const int parts = score_parts(job.vectors);
    const float* queries = job.queries;
    float* scores = job.scores;
    for (int part = 0; part < parts; ++part) {
      const int size = part_size(job.vectors, parts, part);
      score_part<kType>(size, job, queries, scores, part == 0);
      queries += size * job.head_dim;
      scores += size * kScoreStride;
    }
  }

  // ---- weights -------------------------------------------------------------------------------------

  // Scores become weights; returns nothing else than maximum and sum, in fixed trees.
  static void weigh(const ChunkJob& job, int vector) {
    constexpr float kMasked = -__builtin_inff();
    float* row = job.scores + vector * kScoreStride;
    const int tokens = job.blocks * kPageTokens;
    for (int t = 0; t < job.first[vector]; ++t) row[t] = kMasked;
    for (int t = job.last[vector]; t < tokens; ++t) row[t] = kMasked;
    F max = V::load(row);
    for (int block = 1; block < job.blocks; ++block) max = V::max(max, V::load(row + block * kLanes));
    const float highest = V::reduce_max(max);
    const F subtrahend = V::set(highest);
    F sum = V::set(0);
    for (int block = 0; block < job.blocks; ++block) {
      const F weight = exp2(V::sub(V::load(row + block * kLanes), subtrahend));
      sum = V::add(sum, weight);
      V::store(row + block * kLanes, weight);
    }
    job.max[vector] = highest;
    job.sum[vector] = V::reduce_add(sum);
  }

  // ---- values --------------------------------------------------------------------------------------

  template <KvType kType, bool kHalfColumn>
  static F load_value(const std::byte* tile, int token, int column, int head_dim) {
    if constexpr (kType == KvType::kF16) {
      const std::byte* at = tile + (size_t(token) * size_t(head_dim) + size_t(column) * kLanes) * 2;
      return kHalfColumn ? V::load_8_halves(at) : V::load_half(at);
    } else {
      const size_t groups = size_t(head_dim) / 32;
      const std::byte* scales = tile + size_t(head_dim) * kPageTokens;
      const F scale = V::set_half(scales + (size_t(token) * groups + size_t(column) / 2) * 2);
      return V::mul(V::load_int8(tile + size_t(token) * size_t(head_dim) + size_t(column) * kLanes), scale);
    }
  }

  // Adds `blocks` blocks, from `block` on, to R x C sums.
  template <int R, int C, KvType kType, bool kHalfColumn>
  static void value_tile(const ChunkJob& job, int block, int blocks, int column, int vector, bool prefetch) {
    F sums[R][C];
    float* accumulator = job.accumulator + vector * job.stride + column * kLanes;
    for (int r = 0; r < R; ++r) {
      for (int c = 0; c < C; ++c) {
        sums[r][c] = block == 0 ? V::set(0) : V::load(accumulator + r * job.stride + c * kLanes);
      }
    }
    constexpr size_t kBytes = kType == KvType::kF16 ? 2 : 1;
    const size_t row_bytes = size_t(job.head_dim) * kBytes;
    int b = block;
    do {
      const std::byte* tile = job.values[b];
      const float* weights = job.scores + vector * kScoreStride + b * kLanes;
      const int next = b + blocks;
      const std::byte* ahead = next < job.blocks ? job.values[next] : job.next[next - job.blocks];
      if (!prefetch) ahead = nullptr;
      for (int t = 0; t < kPageTokens; ++t) {
        if (ahead != nullptr) {
          for (int c = 0; c < C; c += 2) {
            __builtin_prefetch(ahead + size_t(t) * row_bytes + size_t(column + c) * (kLanes * kBytes));
          }
        }
        add_token<R, C, kType, kHalfColumn>(tile, t, column, job.head_dim, weights + t, sums);
      }
    } while (++b < block + blocks);
    for (int r = 0; r < R; ++r) {
      for (int c = 0; c < C; ++c) V::store(accumulator + r * job.stride + c * kLanes, sums[r][c]);
    }
  }

  // Keeps the smaller side of the tile in registers, streams the larger one.
  template <int R, int C, KvType kType, bool kHalfColumn>
  static inline void add_token(const std::byte* tile, int t, int column, int head_dim, const float* weights,
                               F (&sums)[R][C]) {
    if constexpr (R <= C) {
      F weight[R];
      for (int r = 0; r < R; ++r) weight[r] = V::set(weights[r * kScoreStride]);
      for (int c = 0; c < C; ++c) {
        const F value = load_value<kType, kHalfColumn>(tile, t, column + c, head_dim);
        for (int r = 0; r < R; ++r) sums[r][c] = V::fma(weight[r], value, sums[r][c]);
      }
    } else {
      F value[C];
      for (int c = 0; c < C; ++c) value[c] = load_value<kType, kHalfColumn>(tile, t, column + c, head_dim);
      for (int r = 0; r < R; ++r) {
        const F weight = V::set(weights[r * kScoreStride]);
        for (int c = 0; c < C; ++c) sums[r][c] = V::fma(weight, value[c], sums[r][c]);
      }
    }
  }

  template <int R, KvType kType, int C>
  static int value_columns(const ChunkJob& job, int block, int blocks, int column, int vector, bool prefetch) {
    const int whole = job.head_dim / kLanes;
    for (; column + C <= whole; column += C)
      value_tile<R, C, kType, false>(job, block, blocks, column, vector, prefetch);
    if constexpr (C > 1) return value_columns<R, kType, C / 2>(job, block, blocks, column, vector, prefetch);
    return column;
  }

  template <KvType kType, int R = V::kValueVectors>
  static void value_part(int vectors, const ChunkJob& job, int block, int blocks, int vector, bool prefetch) {
    if (vectors == R) {
      const int column = value_columns<R, kType, tiles_for(R)>(job, block, blocks, 0, vector, prefetch);
      if constexpr (kType == KvType::kF16) {
        if (column * kLanes < job.head_dim)
          value_tile<R, 1, kType, true>(job, block, blocks, column, vector, prefetch);
      }
      return;
    }
    if constexpr (R > 1) value_part<kType, R - 1>(vectors, job, block, blocks, vector, prefetch);
  }

  // A few blocks at a time, so that their values stay in the first-level cache over all columns and vectors.
  template <KvType kType>
  static void add_values(const ChunkJob& job) {
    constexpr int kCachedBytes = 16384;
    const int tile = job.head_dim * kPageTokens * (kType == KvType::kF16 ? 2 : 1);
    const int step = tile * 2 > kCachedBytes ? 1 : kCachedBytes / tile;
    const int parts = (job.vectors + V::kValueVectors - 1) / V::kValueVectors;
    for (int block = 0; block < job.blocks; block += step) {
      const int blocks = job.blocks - block < step ? job.blocks - block : step;
      int vector = 0;
      for (int part = 0; part < parts; ++part) {
        const int size = part_size(job.vectors, parts, part);
        value_part<kType>(size, job, block, blocks, vector, part == 0);
        vector += size;
      }
    }
  }

  template <KvType kType>
  static void attend_type(const ChunkJob& job) {
    score<kType>(job);
    for (int vector = 0; vector < job.vectors; ++vector) weigh(job, vector);
    add_values<kType>(job);
  }

  static void attend(const ChunkJob& job) {
    if (job.type == KvType::kF16) return attend_type<KvType::kF16>(job);
    attend_type<KvType::kQ8_0>(job);
  }

  // ---- folding -------------------------------------------------------------------------------------

  static void fold(const FoldJob& job) {
    for (int begin = 0; begin < job.vectors; begin += kLanes) {
      const int count = job.vectors - begin < kLanes ? job.vectors - begin : kLanes;
      const F old_max = V::load(job.state_max + begin);
      const F max = V::max(old_max, V::load(job.max + begin));
      const F keep = exp2(V::sub(old_max, max));
      const F take = exp2(V::sub(V::load(job.max + begin), max));
      V::store(job.state_max + begin, max);
      V::store(job.state_sum + begin,
               V::fma(V::load(job.sum + begin), take, V::mul(V::load(job.state_sum + begin), keep)));
      float keeps[kLanes], takes[kLanes];
      V::store(keeps, keep);
      V::store(takes, take);
      for (int v = 0; v < count; ++v) {
        const F kept = V::set(keeps[v]);
        const F taken = V::set(takes[v]);
        const float* from = job.accumulator + (begin + v) * job.stride;
        float* to = job.state + (begin + v) * job.stride;
        for (int d = 0; d < job.stride; d += kLanes) {
          V::store(to + d, V::fma(V::load(from + d), taken, V::mul(V::load(to + d), kept)));
        }
      }
    }
  }

  // + 0 makes the zero of a sum of zeros positive, whichever way it came about.
  static void finish(const float* state, float sum, int head_dim, float* out) {
    const F divisor = V::set(sum == 0 ? 1 : sum);
    float last[kLanes];
    for (int d = 0; d < head_dim; d += kLanes) {
      const F result = V::add(V::div(V::load(state + d), divisor), V::set(0));
      if (head_dim - d >= kLanes) {
        V::store(out + d, result);
      } else {
        V::store(last, result);
        for (int i = d; i < head_dim; ++i) out[i] = last[i - d];
      }
    }
  }

  static void to_half(const float* in, uint16_t* out, size_t count) {
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) V::store_half(out + i, V::load(in + i));
    if (i == count) return;
    float last[kLanes] = {};
    uint16_t halves[kLanes];
    for (size_t j = i; j < count; ++j) last[j - i] = in[j];
    V::store_half(halves, V::load(last));
    for (size_t j = i; j < count; ++j) out[j] = halves[j - i];
  }

  static const AttentionKernels* table(const char* isa) {
    static const AttentionKernels kernels = {isa, &pack, &attend, &fold, &finish, &to_half};
    return &kernels;
  }
};

}  // namespace payonce::engine
