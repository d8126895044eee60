// A BERT encoder's file: its numbers and tensors, checked. Keys and names are those of llama.cpp's converter.
// Threads: built by one, then const.  Lifetime: the file must outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/model/gguf_file.h"

namespace payonce::embed {

enum class Pooling : uint8_t { kMean, kCls };  // the vector is the mean of all tokens', or that of [CLS]

struct BertShape {
  int32_t layers = 0, width = 0, heads = 0, head_dim = 0, ffn_width = 0;
  int32_t vocab = 0;
  int32_t max_tokens = 0;  // with [CLS] and [SEP]
  float norm_epsilon = 0;
  Pooling pooling = Pooling::kMean;
};

// Matrices are [outputs][inputs] row by row; a bias may be null.
struct BertLayer {
  using Tensor = engine::GgufFile::Tensor;
  // q, k and v: three of [width][width], or `qkv` of [3 width][width] and no other.
  const Tensor *q = nullptr, *k = nullptr, *v = nullptr, *qkv = nullptr;
  const Tensor *q_bias = nullptr, *k_bias = nullptr, *v_bias = nullptr, *qkv_bias = nullptr;
  const Tensor *out = nullptr, *out_bias = nullptr, *out_norm = nullptr, *out_norm_bias = nullptr;
  const Tensor *up = nullptr, *up_bias = nullptr, *down = nullptr, *down_bias = nullptr;
  const Tensor *layer_norm = nullptr, *layer_norm_bias = nullptr;
};

struct BertFile {
  std::unique_ptr<engine::GgufFile> file;
  std::string name;  // general.name, else the file's
  BertShape shape;
  const engine::GgufFile::Tensor *tokens = nullptr, *positions = nullptr, *types = nullptr;  // `types` may be null
  const engine::GgufFile::Tensor *norm = nullptr, *norm_bias = nullptr;
  std::vector<BertLayer> layers;

  // kNotFound; kInvalid: damaged, truncated, another architecture, a size that this encoder does not compute.
  static base::Result<BertFile> open(const std::string& path);
};

}  // namespace payonce::embed
