// How keys and values lie in memory. A *block* holds kBlockTokens tokens of all layers; a *page* is what one layer
// keeps of one block. Pages of a layer lie in one array (a layer's pool), indexed by block id.
//
// A page holds, for each KV head, a key tile [head_dim][16 tokens] and then a value tile [16 tokens][head_dim]. Keys
// are stored dimension by dimension, so that one vector register holds one dimension of all 16 tokens: scores of 16
// tokens are sums over d of q[d] * k[d][0..15], in the order of d, without a horizontal sum. The order of every
// addition is thus the same for any vector width, thread count and batch, and so are the bits of the result.
//
// kQ8_0: 8-bit values with one F16 scale for 32 dimensions of one token (ggml's q8_0 blocks, scales apart):
//   key tile:   int8 [head_dim][16], then F16 scales [head_dim / 32][16]
//   value tile: int8 [16][head_dim], then F16 scales [16][head_dim / 32]
// The scale is max|x| / 127; a reader multiplies, which is exact in F32 (8 bits times 11 bits).
//
// Threads: plain values and pure functions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace payonce::engine {

inline constexpr int kPageTokens = 16;

enum class KvType : uint8_t { kF16, kQ8_0 };
std::string_view kv_type_name(KvType type);  // "f16", "q8_0"

struct PageShape {
  int kv_heads = 0;
  int head_dim = 0;  // kF16: any multiple of 8; kQ8_0: a multiple of 32
  KvType type = KvType::kF16;
};

size_t tile_bytes(const PageShape& shape);  // a key tile, or a value tile, of one head
size_t page_bytes(const PageShape& shape);  // all heads, keys and values; a multiple of 64

// Writes keys and values of one token, [kv_heads][head_dim] F32 each, into slot `slot` (0 … 15) of `page`.
// Rounded to nearest; what F16 cannot hold becomes its largest number, and NaN becomes 0, so that pages hold finite
// numbers only: a masked token has weight 0, and 0 * x must be 0 whatever a block held before.
void store_token(const PageShape& shape, void* page, int slot, const float* keys, const float* values);

// Rows first_row … first_row + rows - 1 of a batch.  slots: [all rows], block * 16 + slot; a negative one is skipped.
// keys, values: [all rows][kv_heads][head_dim].  Threads: any, each with its own rows.
void store_rows(const PageShape& shape, void* pool, const int64_t* slots, const float* keys, const float* values,
                int first_row, int rows);

}  // namespace payonce::engine
