// What the plan (attention.cc) asks of an instruction set's kernels. Internal to this module.
//
// A *vector* is one query head of one row. All vectors of a job share KV head and blocks. Scores are kept in base 2:
// queries are packed times scale * log2(e), so that a weight is exp2(score - maximum).
//
// All kernels do the same operations in the same order on 16 lanes (attention_kernel.h), so their results are equal
// bit by bit. The files are compiled for one instruction set each and therefore use nothing inline of the standard
// library: the linker could pick that copy for code which runs on other CPUs.
// Threads: pure functions on the caller's buffers.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/ops/pages.h"

namespace payonce::engine {

inline constexpr int kLanes = 16;
inline constexpr int kChunkBlocks = 16;  // kChunkTokens / kPageTokens
inline constexpr int kMaxVectors = 64;   // of one job
inline constexpr int kScoreStride = kChunkBlocks * kPageTokens;

// Vectors against (a part of) one chunk. Buffers are aligned to 64 bytes.
struct ChunkJob {
  KvType type;
  int head_dim;
  int stride;   // of accumulators: head_dim rounded up to kLanes
  int vectors;  // 1 … kMaxVectors
  int blocks;   // 1 … kChunkBlocks; tiles [blocks]
  const std::byte* keys[kChunkBlocks];
  const std::byte* values[kChunkBlocks];
  const std::byte* next[kChunkBlocks];  // what will be read after this job (prefetched); null: nothing
  const int32_t* first;                 // [vectors] the tokens attended, [first, last), counted from keys[0]
  const int32_t* last;
  const float* queries;  // as pack() wrote them
  float* scores;         // [vectors][kScoreStride], scratch
  // The partial: maximum, sum of weights, weighted sum of values. A vector that attends nothing: -inf, 0, 0.
  float* max;          // [vectors, rounded up to kLanes]
  float* sum;          // [vectors, rounded up to kLanes]
  float* accumulator;  // [vectors][stride]
};

// state = state + partial, for each vector. Empty partials change nothing; the first one is taken as it is.
struct FoldJob {
  int vectors;
  int stride;
  const float* max;  // readable up to kLanes - 1 floats beyond `vectors`; so are the others
  const float* sum;
  const float* accumulator;
  float* state_max;
  float* state_sum;
  float* state;
};

struct AttentionKernels {
  const char* isa;
  void (*pack)(const float* const* queries, int vectors, int head_dim, float scale, float* packed);
  void (*attend)(const ChunkJob& job);
  void (*fold)(const FoldJob& job);
  void (*finish)(const float* state, float sum, int head_dim, float* out);  // out = state / sum; 0 where sum is 0
  void (*to_half)(const float* in, uint16_t* out, size_t count);            // finite_half() of each
};

// Null where not compiled in.
const AttentionKernels* avx512_kernels();
const AttentionKernels* avx2_kernels();
const AttentionKernels* neon_kernels();
const AttentionKernels* portable_kernels();

// By name; null where this CPU cannot run them.
const AttentionKernels* attention_kernels(const char* isa);
// The best of this CPU, or PAYONCE_ISA's.
const AttentionKernels& attention_kernels();

}  // namespace payonce::engine
