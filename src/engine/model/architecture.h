// What differs between the architectures that one graph builder serves: a table of flags, and the numbers that a file
// gives. Rules and defaults are those of llama.cpp (llama-model.cpp, llama-context.cpp, models/*.cpp of the pinned
// commit), which the tests compare with.
// Threads: values and pure functions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "engine/model/gguf_file.h"

namespace payonce::engine {

struct Architecture {
  std::string_view name;          // general.architecture
  bool rope_halves = false;       // RoPE turns dimension i with i + d/2 ("NEOX"); else 2i with 2i + 1
  bool qk_norm = false;           // RMS norm of each query and key head before RoPE
  bool post_norms = false;        // norms also after attention and after the feed-forward part
  bool gelu = false;              // activation of the gate; else SiLU
  bool scaled_embedding = false;  // by sqrt(width)
  bool sliding = false;           // may have sliding-window layers
};

// kInvalid: names the unknown architecture and the known ones.
base::Result<const Architecture*> find_architecture(const GgufFile& file);

struct Rope {
  float base = 10000, scale = 1;
};

// The numbers of one model. Checked: no division by zero, no absurd sizes.
struct Hyper {
  const Architecture* architecture = nullptr;
  int32_t layers = 0, width = 0, ffn_width = 0;
  int32_t q_heads = 0, kv_heads = 0, head_dim = 0;
  int32_t context_tokens = 0;
  float norm_epsilon = 0;
  float attention_scale = 0;
  float final_softcap = 0;  // 0: none
  int32_t rope_dims = 0;
  Rope rope, rope_sliding;
  // YaRN (Peng et al. 2023); extrapolation 0: off.
  float rope_extrapolation = 0, rope_attention_factor = 1, rope_beta_fast = 32, rope_beta_slow = 1;
  int32_t rope_original_context = 0;
  int32_t window = 0;                  // of sliding layers; 0: the model has none
  std::vector<bool> layer_is_sliding;  // [layers]
  int32_t sliding_layers() const;
};

base::Result<Hyper> read_hyper(const GgufFile& file);

}  // namespace payonce::engine
