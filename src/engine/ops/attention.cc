// Runs a plan's units and folds. What a unit is, and why cutting changes no bit: attention_plan.h.
#include "engine/ops/attention.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "engine/ops/attention_kernels.h"
#include "engine/ops/attention_plan.h"
#include "engine/ops/scratch.h"

namespace payonce::engine {
namespace {

constexpr float kNothing = -std::numeric_limits<float>::infinity();

constexpr int round_up(int value, int step) { return (value + step - 1) / step * step; }

// Where a thread's numbers lie within its scratch, in floats.
struct ThreadBuffers {
  float *queries, *scores, *accumulator, *state, *max, *sum, *state_max, *state_sum;

  static constexpr int kPerVector = kMaxVectors + kLanes;
  static size_t floats(int head_dim, int stride) {
    return static_cast<size_t>(kMaxVectors * (round_up(head_dim, kLanes) + kScoreStride + 2 * stride) +
                               4 * kPerVector);
  }
  ThreadBuffers(float* base, int head_dim, int stride) {
    const auto take = [&](int count) {
      float* begin = base;
      base += count;
      return begin;
    };
    queries = take(kMaxVectors * round_up(head_dim, kLanes));
    scores = take(kMaxVectors * kScoreStride);
    accumulator = take(kMaxVectors * stride);
    state = take(kMaxVectors * stride);
    for (float** buffer : {&max, &sum, &state_max, &state_sum}) *buffer = take(kPerVector);
  }
};

// A partial: [q_heads][stride] weighted sums, then maxima and sums of weights, readable beyond their end as kernels
// do.
struct PartialShape {
  int q_heads, stride;
  int padded_heads() const { return round_up(q_heads, kLanes) + kLanes; }
  size_t floats() const { return static_cast<size_t>(q_heads * stride + 2 * padded_heads()); }
  size_t sums_at(int head) const { return static_cast<size_t>(head * stride); }
  size_t max_at(int head) const { return static_cast<size_t>(q_heads * stride + head); }
  size_t sum_at(int head) const { return max_at(head) + static_cast<size_t>(padded_heads()); }
};

class Runner final : public AttentionPlan {
 public:
  Runner(const AttentionShape& shape, AttentionLayout layout, int threads, const AttentionKernels& kernels)
      : shape_(shape),
        kernels_(kernels),
        layout_(std::move(layout)),
        heads_(shape.q_heads / shape.page.kv_heads),
        stride_(round_up(shape.page.head_dim, kLanes)),
        tile_bytes_(tile_bytes(shape.page)),
        page_bytes_(page_bytes(shape.page)),
        partial_{shape.q_heads, stride_},
        thread_floats_(static_cast<size_t>(
            round_up(static_cast<int>(ThreadBuffers::floats(shape.page.head_dim, stride_)), kLanes))),
        scratch_(thread_floats_ * static_cast<size_t>(threads) +
                 partial_.floats() * static_cast<size_t>(layout_.partials)),
        partials_(scratch_.floats() + thread_floats_ * static_cast<size_t>(threads)) {}

  void run_part(int part, const void* pool, const float* queries, float* out, int thread) override {
    const ThreadBuffers buffers(scratch_.floats() + thread_floats_ * static_cast<size_t>(thread),
                                shape_.page.head_dim, stride_);
    // Each part makes ready the other's counter, which nobody uses meanwhile.
    next_[1 - part].value.store(0, std::memory_order_relaxed);
    const size_t count = part == 0 ? layout_.units.size() : layout_.folds.size() * kv_heads();
    for (;;) {
      const size_t i = next_[part].value.fetch_add(1, std::memory_order_relaxed);
      if (i >= count) return;
      if (part == 0) {
        run_unit(layout_.units[i], static_cast<const std::byte*>(pool), queries, out, buffers);
      } else {
        fold_row(layout_.folds[i / kv_heads()], static_cast<int>(i % kv_heads()), out, buffers);
      }
    }
  }

 private:
  size_t kv_heads() const { return static_cast<size_t>(shape_.page.kv_heads); }
  size_t vector_at(int32_t row, int head) const {
    return (static_cast<size_t>(row) * static_cast<size_t>(shape_.q_heads) + static_cast<size_t>(head)) *
           static_cast<size_t>(shape_.page.head_dim);
  }
  int head_of(const Unit& unit, int vector) const {
    return unit.kv_head * heads_ + unit.first_head + vector % unit.heads;
  }
  const PlannedRow& row_of(const Unit& unit, int vector) const {
    return layout_.rows[static_cast<size_t>(unit.first_row + vector / unit.heads)];
  }

  // ---- units ---------------------------------------------------------------------------------------

  struct ChunkBounds {
    int32_t first[kMaxVectors], last[kMaxVectors];
    int first_block = 0, last_block = 0;  // [first, last) that any row attends to
  };

  void run_unit(const Unit& unit, const std::byte* pool, const float* queries, float* out, const ThreadBuffers& b) {
    const int vectors = unit.rows * unit.heads;
    const float* rows[kMaxVectors];
    for (int v = 0; v < vectors; ++v) rows[v] = queries + vector_at(row_of(unit, v).row, head_of(unit, v));
    kernels_.pack(rows, vectors, shape_.page.head_dim, shape_.scale, b.queries);
    if (unit.begins) clear(b, vectors);
    for (int32_t chunk = unit.first_chunk; chunk < unit.last_chunk; ++chunk) {
      attend(unit, chunk, pool, b);
      if (unit.begins) {
        kernels_.fold({vectors, stride_, b.max, b.sum, b.accumulator, b.state_max, b.state_sum, b.state});
      } else {
        keep(unit, unit.partial + chunk - unit.first_chunk, b.max, b.sum, b.accumulator);
      }
    }
    if (unit.finishes) {
      for (int v = 0; v < vectors; ++v) {
        kernels_.finish(b.state + v * stride_, b.state_sum[v], shape_.page.head_dim,
                        out + vector_at(row_of(unit, v).row, head_of(unit, v)));
      }
    } else if (unit.begins) {
      keep(unit, unit.partial, b.state_max, b.state_sum, b.state);
    }
  }

  void clear(const ThreadBuffers& b, int vectors) const {
    std::fill_n(b.state, vectors * stride_, 0.0F);
    std::fill_n(b.state_max, ThreadBuffers::kPerVector, kNothing);
    std::fill_n(b.state_sum, ThreadBuffers::kPerVector, 0.0F);
  }

  void keep(const Unit& unit, int32_t partial, const float* max, const float* sum, const float* accumulator) {
    for (int v = 0; v < unit.rows * unit.heads; ++v) {
      const int32_t first = layout_.first_partial[static_cast<size_t>(row_of(unit, v).row)];
      float* to = partials_ + static_cast<size_t>(first + partial) * partial_.floats();
      const int head = head_of(unit, v);
      std::memcpy(to + partial_.sums_at(head), accumulator + v * stride_,
                  static_cast<size_t>(stride_) * sizeof(float));
      to[partial_.max_at(head)] = max[v];
      to[partial_.sum_at(head)] = sum[v];
    }
  }

  // Tokens of the chunk that each vector attends to, and the blocks from the first to the last of them. None of these
  // is kNoBlock: rows of a unit follow one another, or end in the same block, or reach beyond the chunk.
  ChunkBounds bounds(const Unit& unit, int32_t chunk) const {
    ChunkBounds result;
    const int32_t begin = chunk * kChunkTokens;
    int32_t least = kChunkTokens, most = 0;
    for (int32_t i = 0; i < unit.rows; ++i) {
      const int32_t position = layout_.rows[static_cast<size_t>(unit.first_row + i)].position;
      const int32_t from = shape_.window == 0 ? 0 : position - shape_.window + 1 - begin;
      const int32_t first = std::clamp(from, 0, kChunkTokens);
      const int32_t last = std::clamp(position + 1 - begin, 0, kChunkTokens);
      std::fill_n(result.first + i * unit.heads, unit.heads, first);
      std::fill_n(result.last + i * unit.heads, unit.heads, last);
      if (first >= last) continue;
      least = std::min(least, first);
      most = std::max(most, last);
    }
    if (least < most) {
      result.first_block = least / kPageTokens;
      result.last_block = (most - 1) / kPageTokens + 1;
    }
    for (int v = 0; v < unit.rows * unit.heads; ++v) {
      const int32_t offset = result.first_block * kPageTokens;
      const int32_t tokens = (result.last_block - result.first_block) * kPageTokens;
      result.first[v] = std::clamp(result.first[v] - offset, 0, tokens);
      result.last[v] = std::clamp(result.last[v] - offset, 0, tokens);
    }
    return result;
  }

  const std::byte* key_tile(const Unit& unit, const std::byte* pool, int32_t index) const {
    if (index >= unit.block_count) return nullptr;
    const int32_t block = layout_.blocks[static_cast<size_t>(unit.blocks + index)];
    if (block == kNoBlock) return nullptr;
    return pool + static_cast<size_t>(block) * page_bytes_ + static_cast<size_t>(unit.kv_head) * 2 * tile_bytes_;
  }

  void attend(const Unit& unit, int32_t chunk, const std::byte* pool, const ThreadBuffers& b) const {
    const ChunkBounds at = bounds(unit, chunk);
    const int32_t index = (chunk - unit.first_chunk) * kChunkBlocks;
    const int vectors = unit.rows * unit.heads;
    if (at.first_block == at.last_block) {
      std::fill_n(b.max, vectors, kNothing);
      std::fill_n(b.sum, vectors, 0.0F);
      std::fill_n(b.accumulator, vectors * stride_, 0.0F);
      return;
    }
    ChunkJob job{};
    job.blocks = at.last_block - at.first_block;
    for (int i = 0; i < job.blocks; ++i) {
      job.keys[i] = key_tile(unit, pool, index + at.first_block + i);
      job.values[i] = job.keys[i] + tile_bytes_;
    }
    if (chunk + 1 < unit.last_chunk) {
      for (int i = 0; i < kChunkBlocks; ++i) job.next[i] = key_tile(unit, pool, index + kChunkBlocks + i);
    }
    job.type = shape_.page.type;
    job.head_dim = shape_.page.head_dim;
    job.stride = stride_;
    job.vectors = vectors;
    job.first = at.first;
    job.last = at.last;
    job.queries = b.queries;
    job.scores = b.scores;
    job.max = b.max;
    job.sum = b.sum;
    job.accumulator = b.accumulator;
    kernels_.attend(job);
  }

  // ---- folds ---------------------------------------------------------------------------------------

  void fold_row(const RowPartials& of, int kv_head, float* out, const ThreadBuffers& b) const {
    for (int begin = 0; begin < heads_; begin += kMaxVectors) {
      const int vectors = std::min(kMaxVectors, heads_ - begin);
      const int head = kv_head * heads_ + begin;
      clear(b, vectors);
      for (int32_t i = of.first; i < of.first + of.count; ++i) {
        const float* from = partials_ + static_cast<size_t>(i) * partial_.floats();
        kernels_.fold({vectors, stride_, from + partial_.max_at(head), from + partial_.sum_at(head),
                       from + partial_.sums_at(head), b.state_max, b.state_sum, b.state});
      }
      for (int v = 0; v < vectors; ++v) {
        kernels_.finish(b.state + v * stride_, b.state_sum[v], shape_.page.head_dim,
                        out + vector_at(of.row, head + v));
      }
    }
  }

  struct alignas(64) Counter {
    std::atomic<size_t> value{0};
  };

  const AttentionShape shape_;
  const AttentionKernels& kernels_;
  const AttentionLayout layout_;
  const int heads_;  // that read one KV head
  const int stride_;
  const size_t tile_bytes_, page_bytes_;
  const PartialShape partial_;
  const size_t thread_floats_;
  const Scratch scratch_;
  float* const partials_;
  Counter next_[2];
};

}  // namespace

std::unique_ptr<AttentionPlan> make_attention_plan(const AttentionShape& shape,
                                                   std::span<const SequenceRows> sequences, int threads,
                                                   const AttentionKernels& kernels) {
  return std::make_unique<Runner>(shape, lay_out(shape, sequences, threads), threads, kernels);
}

std::unique_ptr<AttentionPlan> AttentionPlan::make(const AttentionShape& shape,
                                                   std::span<const SequenceRows> sequences, int threads) {
  return make_attention_plan(shape, sequences, threads, attention_kernels());
}

}  // namespace payonce::engine
