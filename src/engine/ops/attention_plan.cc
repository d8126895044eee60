#include "engine/ops/attention_plan.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"
#include "engine/ops/attention_kernels.h"

namespace payonce::engine {
namespace {

constexpr int kUnitsPerThread = 4;                // so that a slow thread leaves work to the others
constexpr int64_t kMaxPrefillPartials = 8 << 20;  // floats; beyond, a prefill is not cut by chunks

struct Sequence {
  const SequenceRows* of;
  int32_t blocks;                   // that its rows attend to or that lie before
  int32_t first_chunk, last_chunk;  // [first, last)

  std::span<const int32_t> chunk(int32_t c) const {
    const int32_t begin = std::min(c * kChunkBlocks, blocks);
    return of->blocks.subspan(static_cast<size_t>(begin),
                              static_cast<size_t>(std::min(kChunkBlocks, blocks - begin)));
  }
};

// Rows that attend to the same blocks in [first_chunk, last_chunk).
struct Run {
  int32_t first_row, rows;  // in AttentionLayout::rows
  int32_t first_chunk, last_chunk;
  int32_t blocks, block_count;
  bool begins, ends;  // where its rows do
  bool prefill;
};

bool same(std::span<const int32_t> a, std::span<const int32_t> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

uint64_t hash_of(std::span<const int32_t> ids) {
  uint64_t hash = ids.size();
  for (const int32_t id : ids) hash = (hash ^ static_cast<uint32_t>(id)) * 0x9e3779b97f4a7c15ULL;
  return hash;
}

class Planner {
 public:
  Planner(const AttentionShape& shape, int threads)
      : shape_(shape), heads_(shape.q_heads / shape.page.kv_heads), threads_(std::max(threads, 1)) {}

  AttentionLayout plan(std::span<const SequenceRows> sequences) {
    int32_t rows = 0;
    sequences_.reserve(sequences.size());
    for (const SequenceRows& of : sequences) {
      if (of.rows == 0) continue;
      const int32_t last = of.first_position + of.rows - 1;
      const int32_t first = shape_.window == 0 ? 0 : std::max(0, of.first_position - shape_.window + 1);
      check(of, first / kPageTokens, last / kPageTokens);
      sequences_.push_back({&of, last / kPageTokens + 1, first / kChunkTokens, last / kChunkTokens + 1});
      rows = std::max(rows, of.first_row + of.rows);
    }
    partials_of_.assign(static_cast<size_t>(rows), 0);
    add_runs();
    cut();
    place_partials(rows);
    return std::move(layout_);
  }

 private:
  // Kernels follow block ids without a look.
  static void check(const SequenceRows& of, int32_t first_block, int32_t last_block) {
    PAYONCE_ASSERT(static_cast<size_t>(last_block) < of.blocks.size());
    for (int32_t i = first_block; i <= last_block; ++i) PAYONCE_ASSERT(of.blocks[static_cast<size_t>(i)] >= 0);
  }

  // ---- runs ----------------------------------------------------------------------------------------

  void add_runs() {
    const int32_t few = std::max(1, kMaxVectors / 2 / heads_);
    for (size_t i = 0; i < sequences_.size(); ++i) {
      if (sequences_[i].of->rows <= few) {
        order_.push_back(static_cast<int32_t>(i));
      } else {
        add_prefill(sequences_[i]);
      }
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [&](int32_t a, int32_t b) { return at(a).first_chunk < at(b).first_chunk; });
    for (size_t begin = 0, end = 0; begin < order_.size(); begin = end) {
      while (end < order_.size() && at(order_[end]).first_chunk == at(order_[begin]).first_chunk) ++end;
      group(std::span(order_).subspan(begin, end - begin), at(order_[begin]).first_chunk);
    }
  }

  const Sequence& at(int32_t index) const { return sequences_[static_cast<size_t>(index)]; }

  // Members have the same blocks in all chunks before `chunk`, and none ends before it.
  void group(std::span<int32_t> members, int32_t chunk) {
    const int32_t first = chunk;
    const Sequence& one = at(members.front());
    if (members.size() == 1) return add_run(members, first, one.last_chunk);
    const auto same_as_first = [&](int32_t other) { return same(one.chunk(chunk), at(other).chunk(chunk)); };
    while (chunk < one.last_chunk && std::all_of(members.begin() + 1, members.end(), same_as_first)) ++chunk;
    add_run(members, first, chunk);
    split(members, chunk);
  }

  // Equal hashes bring equal chunks together, which are then compared. Those that end here drop out.
  void split(std::span<int32_t> members, int32_t chunk) {
    std::vector<std::pair<uint64_t, int32_t>> hashed;
    for (const int32_t member : members) {
      if (chunk < at(member).last_chunk) hashed.emplace_back(hash_of(at(member).chunk(chunk)), member);
    }
    std::sort(hashed.begin(), hashed.end());
    for (size_t i = 0; i < hashed.size(); ++i) members[i] = hashed[i].second;
    for (size_t begin = 0, end = 0; begin < hashed.size(); begin = end) {
      for (end = begin + 1; end < hashed.size(); ++end) {
        if (hashed[end].first != hashed[begin].first) break;
        if (!same(at(members[begin]).chunk(chunk), at(members[end]).chunk(chunk))) break;
      }
      group(members.subspan(begin, end - begin), chunk);
    }
  }

  void add_run(std::span<const int32_t> members, int32_t first_chunk, int32_t last_chunk) {
    if (first_chunk == last_chunk) return;
    const Sequence& one = at(members.front());
    Run run = begin_run(one, first_chunk, last_chunk);
    run.blocks = add_blocks(one, first_chunk, last_chunk);
    for (const int32_t member : members) {
      const Sequence& sequence = at(member);
      add_rows(run, *sequence.of, 0, sequence.of->rows);
      run.ends = run.ends && sequence.last_chunk == last_chunk;
    }
    runs_.push_back(run);
  }

  void add_prefill(const Sequence& sequence) {
    const SequenceRows& of = *sequence.of;
    const int32_t blocks = add_blocks(sequence, sequence.first_chunk, sequence.last_chunk);
    const int32_t tile = std::max(1, kMaxVectors / heads_);
    for (int32_t row = 0; row < of.rows; row += tile) {
      const int32_t rows = std::min(tile, of.rows - row);
      const int32_t position = of.first_position + row;
      const int32_t begin = shape_.window == 0 ? 0 : std::max(0, position - shape_.window + 1);
      Run run = begin_run(sequence, begin / kChunkTokens, (position + rows - 1) / kChunkTokens + 1);
      run.begins = run.ends = run.prefill = true;
      run.blocks = blocks + (run.first_chunk - sequence.first_chunk) * kChunkBlocks;
      add_rows(run, of, row, rows);
      runs_.push_back(run);
    }
  }

  Run begin_run(const Sequence& sequence, int32_t first_chunk, int32_t last_chunk) const {
    Run run{};
    run.first_row = static_cast<int32_t>(layout_.rows.size());
    run.first_chunk = first_chunk;
    run.last_chunk = last_chunk;
    run.block_count = std::min(last_chunk * kChunkBlocks, sequence.blocks) - first_chunk * kChunkBlocks;
    run.begins = first_chunk == sequence.first_chunk;
    run.ends = last_chunk == sequence.last_chunk;
    return run;
  }

  int32_t add_blocks(const Sequence& sequence, int32_t first_chunk, int32_t last_chunk) {
    const auto begin = static_cast<int32_t>(layout_.blocks.size());
    const auto ids = sequence.of->blocks;
    layout_.blocks.insert(layout_.blocks.end(), ids.begin() + first_chunk * kChunkBlocks,
                          ids.begin() + std::min(last_chunk * kChunkBlocks, sequence.blocks));
    return begin;
  }

  void add_rows(Run& run, const SequenceRows& of, int32_t first, int32_t rows) {
    for (int32_t i = first; i < first + rows; ++i) layout_.rows.push_back({of.first_row + i, of.first_position + i});
    run.rows += rows;
  }

  // ---- units ---------------------------------------------------------------------------------------

  // Reading a block costs about as much as working it out for a few vectors.
  static int64_t cost(int64_t blocks, int64_t vectors) { return blocks * (vectors + 4); }

  void cut() {
    int64_t total = 0;
    int64_t prefill_partials = 0;
    for (const Run& run : runs_) {
      total += cost(run.block_count, int64_t{run.rows} * heads_) * shape_.page.kv_heads;
      if (run.prefill) prefill_partials += int64_t{run.rows} * (run.last_chunk - run.first_chunk);
    }
    prefill_partials *= int64_t{shape_.q_heads} * shape_.page.head_dim;
    const int64_t share = threads_ == 1 ? total : total / (int64_t{threads_} * kUnitsPerThread) + 1;
    for (const Run& run : runs_) {
      const bool whole = run.prefill && prefill_partials > kMaxPrefillPartials;
      cut_run(run, whole ? total : share);
    }
    std::stable_sort(layout_.units.begin(), layout_.units.end(), [](const Unit& a, const Unit& b) {
      return cost(a.block_count, int64_t{a.rows} * a.heads) > cost(b.block_count, int64_t{b.rows} * b.heads);
    });
  }

  void cut_run(const Run& run, int64_t share) {
    const int32_t head_parts = (heads_ + kMaxVectors - 1) / kMaxVectors;
    const int32_t tile = std::max(1, kMaxVectors / heads_);
    const int32_t row_parts = (run.rows + tile - 1) / tile;
    const int32_t chunks = run.last_chunk - run.first_chunk;
    const int64_t one = cost(run.block_count, int64_t{run.rows} * heads_) / (int64_t{head_parts} * row_parts);
    const auto pieces = static_cast<int32_t>(std::clamp<int64_t>((one + share - 1) / share, 1, chunks));
    for (int32_t kv_head = 0; kv_head < shape_.page.kv_heads; ++kv_head) {
      for (int32_t row_part = 0; row_part < row_parts; ++row_part) {
        for (int32_t head_part = 0; head_part < head_parts; ++head_part) {
          Unit unit;
          unit.kv_head = kv_head;
          unit.first_row = run.first_row + run.rows * row_part / row_parts;
          unit.rows = run.first_row + run.rows * (row_part + 1) / row_parts - unit.first_row;
          unit.first_head = heads_ * head_part / head_parts;
          unit.heads = heads_ * (head_part + 1) / head_parts - unit.first_head;
          cut_chunks(run, unit, pieces);
        }
      }
    }
    if (run.begins && run.ends && pieces == 1) return;
    const int32_t first_piece = run.begins ? chunks / pieces : 0;
    for (int32_t i = run.first_row; i < run.first_row + run.rows; ++i) {
      partials_of(i) += chunks - first_piece + (run.begins ? 1 : 0);
    }
  }

  void cut_chunks(const Run& run, Unit unit, int32_t pieces) {
    const int32_t chunks = run.last_chunk - run.first_chunk;
    int32_t partial = partials_of(run.first_row);
    for (int32_t piece = 0; piece < pieces; ++piece) {
      const int32_t first = chunks * piece / pieces;
      const int32_t last = chunks * (piece + 1) / pieces;
      unit.first_chunk = run.first_chunk + first;
      unit.last_chunk = run.first_chunk + last;
      unit.blocks = run.blocks + first * kChunkBlocks;
      unit.block_count = std::min(run.block_count, last * kChunkBlocks) - first * kChunkBlocks;
      unit.begins = run.begins && piece == 0;
      unit.finishes = unit.begins && run.ends && pieces == 1;
      unit.partial = partial;
      partial += unit.begins ? 1 : last - first;
      layout_.units.push_back(unit);
    }
  }

  // ---- partials ------------------------------------------------------------------------------------

  int32_t& partials_of(int32_t planned_row) {
    return partials_of_[static_cast<size_t>(layout_.rows[static_cast<size_t>(planned_row)].row)];
  }

  void place_partials(int32_t rows) {
    layout_.first_partial.assign(static_cast<size_t>(rows), 0);
    for (int32_t row = 0; row < rows; ++row) {
      const int32_t count = partials_of_[static_cast<size_t>(row)];
      layout_.first_partial[static_cast<size_t>(row)] = layout_.partials;
      if (count > 0) layout_.folds.push_back({row, layout_.partials, count});
      layout_.partials += count;
    }
  }

  const AttentionShape& shape_;
  const int32_t heads_;
  const int threads_;
  std::vector<Sequence> sequences_;
  std::vector<int32_t> order_;  // of the sequences with few rows
  std::vector<Run> runs_;
  std::vector<int32_t> partials_of_;  // [batch row]
  AttentionLayout layout_;
};

}  // namespace

AttentionLayout lay_out(const AttentionShape& shape, std::span<const SequenceRows> sequences, int threads) {
  return Planner(shape, threads).plan(sequences);
}

}  // namespace payonce::engine
