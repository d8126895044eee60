// Who works out what in a step: block tables and positions become units of work. Internal to this module.
//
// Sequences with few rows (decodes) whose chunk refers to the same blocks are one *run* over that chunk: a prefix
// tree over block ids, walked from its root. A sequence with many rows (prefill) is a run for each tile of its rows.
// A run is cut into units: by KV head, by vectors (at most kMaxVectors), and, where that leaves threads idle, by
// chunks.
//
// A unit that begins where its rows begin folds its chunks as it goes. If that is all its rows need, it writes their
// results; if not, it leaves its state as their first partial, and later units leave one for each chunk. The fold of
// partials in part 1 is the same sequence of operations, so the way of cutting changes no bit.
// Threads: pure function.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/ops/attention.h"
#include "engine/ops/attention_kernels.h"

namespace payonce::engine {

struct PlannedRow {
  int32_t row = 0;
  int32_t position = 0;
};

struct Unit {
  int32_t first_row = 0, rows = 0;  // in AttentionLayout::rows
  int32_t kv_head = 0;
  int32_t first_head = 0, heads = 0;  // of those that read the KV head
  int32_t first_chunk = 0, last_chunk = 0;
  int32_t blocks = 0;  // where first_chunk's block ids begin in AttentionLayout::blocks
  int32_t block_count = 0;
  int32_t partial = 0;    // number of its (first) partial among those of each row
  bool begins = false;    // where the rows begin: folds its chunks
  bool finishes = false;  // and is all that they need: writes results
};

// The partials of a row lie one after the other.
struct RowPartials {
  int32_t row = 0;
  int32_t first = 0, count = 0;
};

struct AttentionLayout {
  std::vector<PlannedRow> rows;
  std::vector<int32_t> blocks;
  std::vector<Unit> units;  // the dearest first
  std::vector<RowPartials> folds;
  std::vector<int32_t> first_partial;  // [batch row]
  int32_t partials = 0;
};

// AttentionPlan::make() with the kernels of a given instruction set.
std::unique_ptr<AttentionPlan> make_attention_plan(const AttentionShape& shape,
                                                   std::span<const SequenceRows> sequences, int threads,
                                                   const AttentionKernels& kernels);

AttentionLayout lay_out(const AttentionShape& shape, std::span<const SequenceRows> sequences, int threads);

}  // namespace payonce::engine
