// The model: weights out of a GGUF file (memory-mapped), one graph builder for llama, qwen2, qwen3 and gemma3 on ggml,
// and the KV pools. Its differences between architectures are data (Architecture).
// Threads: load() any; the rest one (the engine's); it runs `threads` threads of its own during compute().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/model/batch.h"

namespace payonce::engine {

struct ModelInfo {
  std::string file;          // path
  std::string name;          // general.name, else the file's name
  std::string architecture;  // "llama", "qwen2", "qwen3", "gemma3"
  std::string digest;        // hex SHA-256 over header and weights' bytes or a fast equivalent: see model.cc
  uint64_t file_bytes = 0;
  uint64_t parameters = 0;
  int32_t layers = 0, width = 0, q_heads = 0, kv_heads = 0, head_dim = 0, vocab_size = 0;
  int32_t context_tokens = 0;  // as trained
  int32_t window = 0;          // of sliding layers; 0: none
  int32_t sliding_layers = 0;
};

struct ModelOptions {
  int threads = 0;                // 0: one per core
  int32_t full_blocks = 0;        // of the full-attention pool
  int32_t sliding_blocks = 0;     // of the sliding pool; ignored when the model has none
  KvType kv_type = KvType::kF16;
  std::string device;             // "" or "cpu"; else a ggml device by name ("CUDA0", "Metal", "Vulkan0")
  bool gathered_attention = false;  // pages gathered and the library's flash attention, as GPU back ends do it
};

class Model : public Executor {
 public:
  // What a file holds, and what a block of it costs, without loading the weights: to size the pools.
  struct Probe {
    ModelInfo info;
    size_t full_block_bytes = 0;     // for a kv_type
    size_t sliding_block_bytes = 0;
  };
  // kNotFound; kInvalid: not a GGUF file, truncated, damaged, unknown architecture, missing tensor: named.
  static base::Result<Probe> probe(const std::string& gguf_file, KvType kv_type);
  static base::Result<std::unique_ptr<Model>> load(const std::string& gguf_file, const ModelOptions& options);

  virtual const ModelInfo& info() const = 0;
  // What makes a block's bytes readable by another engine: "f16/30x3x64/16/…"; goes into the root hash.
  virtual std::string layout() const = 0;
};

}  // namespace payonce::engine
