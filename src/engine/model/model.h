// The model: weights out of a GGUF file (memory-mapped), one graph builder for llama, qwen2, qwen3 and gemma3 on
// ggml, and the KV pools. Its differences between architectures are data (Architecture). Threads: load() any; the
// rest one (the engine's); it runs `threads` threads of its own during compute().
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
  std::string digest;        // hex SHA-256 over size, header and samples of the weights: GgufFile::digest()
  uint64_t file_bytes = 0;
  uint64_t parameters = 0;
  int32_t layers = 0, width = 0, q_heads = 0, kv_heads = 0, head_dim = 0, vocab_size = 0;
  int32_t context_tokens = 0;  // as trained
  int32_t window = 0;          // of sliding layers; 0: none
  int32_t sliding_layers = 0;
};

// Bit equality of a token's logits whatever else is in its batch (cold or cached, alone or among others).
enum class Exactness : uint8_t {
  kWhereFree,  // only where ggml's kernels give it at no cost: exact() tells; q4_0, q4_1, q5_0, q5_1, q8_0 weights
  kAlways,     // products of few columns are padded to the width from which on they are equal: decoding one stream of
               // F16 weights costs about a quarter more, of K-quants several times as much
};

struct ModelOptions {
  int threads = 0;             // 0: one per core
  int32_t full_blocks = 0;     // of the full-attention pool
  int32_t sliding_blocks = 0;  // of the sliding pool; ignored when the model has none
  KvType kv_type = KvType::kF16;
  std::string device;               // "" or "cpu"; else a ggml device by name ("CUDA0", "Metal", "Vulkan0")
  bool gathered_attention = false;  // pages gathered and the library's flash attention, as GPU back ends do it
  Exactness exactness = Exactness::kWhereFree;
};

class Model : public Executor {
 public:
  // What a file holds, and what a block of it costs, without loading the weights: to size the pools.
  struct Probe {
    ModelInfo info;
    size_t full_block_bytes = 0;  // for a kv_type
    size_t sliding_block_bytes = 0;
  };
  // kNotFound; kInvalid: not a GGUF file, truncated, damaged, unknown architecture, missing tensor: named.
  static base::Result<Probe> probe(const std::string& gguf_file, KvType kv_type);
  // The same, and kInvalid for an unknown device, kExhausted for no memory.
  static base::Result<std::unique_ptr<Model>> load(const std::string& gguf_file, const ModelOptions& options);

  virtual const ModelInfo& info() const = 0;
  // True: a token's logits are bit-equal whatever else is in its batch.
  virtual bool exact() const = 0;
  // What makes a block's bytes readable by another engine: "f16/30x3x64/16/…"; goes into the root hash.
  virtual std::string layout() const = 0;
};

}  // namespace payonce::engine
