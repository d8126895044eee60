// PagedAttention: attention whose keys and values lie in pages found through block tables.
//
// A *plan* is made once for a step (it depends on block tables and positions, not on a layer's numbers) and run for
// each layer of its kind. It splits each sequence's range of tokens into chunks of kChunkTokens at fixed places,
// works out every (query, head, chunk) by itself, and folds the chunks of a query in their order. Queries that attend
// to the same physical blocks (a shared prefix, a prefill's rows) are worked out together, so that a page is read
// once for all of them. Neither grouping nor threads change a bit of any result: a query gives the same numbers
// alone, in a batch, in a prefill and in a decode step.
//
// All sums are F32; the tests compare with float64.
// Threads: make() one thread; run_part() by all threads of a step at once, each with its own `thread`.
// Errors: a table that does not cover its rows fails an assertion in make().
// Source: Kwon et al. 2023 (PagedAttention), section 4.1; Dao 2023 (flash decoding).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "engine/ops/pages.h"

namespace payonce::engine {

inline constexpr int32_t kNoBlock = -1;
inline constexpr int kChunkTokens = 256;

struct AttentionShape {
  int q_heads = 0;  // a multiple of page.kv_heads; query head h reads KV head h / (q_heads / kv_heads)
  PageShape page;
  float scale = 1;  // of the scores
  int window = 0;   // 0: all earlier tokens; else position p attends p - window + 1 … p (sliding window)
};

// Consecutive rows of the queries that belong to one sequence: row first_row + i is the token at first_position + i.
struct SequenceRows {
  int32_t first_row = 0;
  int32_t rows = 0;
  int32_t first_position = 0;
  // blocks[j] holds tokens 16 j … 16 j + 15. Covers the last row's position; kNoBlock only where no row attends.
  std::span<const int32_t> blocks;
};

class AttentionPlan {
 public:
  // `threads`: how many will call run_part(), at most. The spans need to live during make() only. Cheap: some
  // microseconds for 16 decodes at 2k tokens.
  static std::unique_ptr<AttentionPlan> make(const AttentionShape& shape, std::span<const SequenceRows> sequences,
                                             int threads);
  virtual ~AttentionPlan() = default;

  // One layer, in two parts: every thread calls run_part(0, …), when all have returned, run_part(1, …), and when all
  // have returned, the next layer. Work goes to whoever asks, so a thread that comes late or never does no harm.
  // `pool`: the layer's pages.  queries, out: [rows][q_heads][head_dim] F32; rows of no sequence are left as they
  // are.
  virtual void run_part(int part, const void* pool, const float* queries, float* out, int thread) = 0;
};

// Which instruction set was chosen for this CPU: "avx512", "avx2", "neon", "portable". PAYONCE_ISA=… forces a lesser
// one (tests).
const char* attention_isa();

}  // namespace payonce::engine
