// The arithmetic of a BERT layer, compiled once for each instruction set. Internal to this module.
//
// Matrices are multiplied as 16-bit integers: a row of weights and a row of activations each get a scale of their
// own, sums are exact 32-bit integers. That is more exact than 16-bit floats (a rounding error near 1e-4 of a row's
// size, no error in sums), needs half of F32's memory, and runs at twice its speed where the CPU has VNNI, at its
// speed where it has AVX2. Since integer sums know no order, a row's result does not depend on the rows beside it;
// neither does any other function's here, so a text's vector is the same bits alone and in a batch.
//
// A row's scale keeps its largest number within 16 bits and its length below kRowLength, so that no sum overflows:
// |sum of a b| <= |a| |b| (Cauchy-Schwarz), and for parts of the sum as well.
//
// The files are compiled for one instruction set each and therefore use nothing inline of the standard library: the
// linker could pick that copy for code which runs on other CPUs.
// Threads: pure functions on the caller's buffers. Buffers of floats and integers are aligned to 64 bytes, widths are
// multiples of kWidthStep.
#pragma once

#include <cstdint>

namespace payonce::embed {

inline constexpr int kWidthStep = 16;           // widths of rows and heads are multiples of it
inline constexpr float kRowLength = 46000;      // with each number rounded still below sqrt(2^31), up to kMaxWidth
inline constexpr int kMaxWidth = 1 << 16;       // (sqrt(2^31) - kRowLength)^2 * 4 is 465,000
inline constexpr int kMaxPart = (1 << 15) - 1;  // of a row

// [outputs][inputs], packed: for each group of `lanes` outputs, for each two inputs, those two of each output.
struct PackedMatrix {
  int inputs = 0;
  int outputs = 0;
  const int16_t* numbers = nullptr;
  const float* scales = nullptr;  // [outputs]
  const float* bias = nullptr;    // [outputs]
};

// softmax(q k^T scale) v of one text's rows. Row i: q at qkv + i * stride, then k and v, each of width heads *
// head_dim; its result at out + i * heads * head_dim.
struct AttentionJob {
  int rows = 0;
  int heads = 0;
  int head_dim = 0;
  float scale = 1;
  const float* qkv = nullptr;
  int stride = 0;  // floats
  float* out = nullptr;
  float* scratch = nullptr;  // attention_scratch_floats(rows, head_dim)
};
inline constexpr int kQueryTile = 4;
constexpr int padded_rows(int rows) { return (rows + kWidthStep - 1) / kWidthStep * kWidthStep; }
constexpr int64_t attention_scratch_floats(int rows, int head_dim) {
  return int64_t{padded_rows(rows)} * (head_dim + kQueryTile);
}

struct Kernels {
  const char* isa;
  int lanes;  // outputs of a group of PackedMatrix
  // out = round(in * s), scales = 1 / s, for each row.
  void (*quantize)(const float* in, int rows, int width, int16_t* out, float* scales);
  // out[r][o] = in[r] . matrix[o] + bias[o].
  void (*multiply)(const PackedMatrix& matrix, const int16_t* in, const float* scales, int rows, float* out);
  // x = layer norm of (x + added), times `gain` plus `shift`; `added` may be null.
  void (*norm)(float* x, const float* added, int rows, int width, float epsilon, const float* gain,
               const float* shift);
  void (*gelu)(float* x, int64_t count);  // x / 2 (1 + erf(x / sqrt 2))
  void (*attend)(const AttentionJob& job);
};

// Null where not compiled in.
const Kernels* avx512_kernels();
const Kernels* avx2_kernels();
const Kernels* portable_kernels();  // SSE2, NEON or plain C++: what every CPU of the family runs

// By name ("avx512", "avx2", "portable"); null when this CPU cannot run it.
const Kernels* find_kernels(const char* isa);
// The best for this CPU; PAYONCE_ISA=… forces a lesser one (tests).
const Kernels& best_kernels();

}  // namespace payonce::embed
