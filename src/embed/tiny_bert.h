// A small BERT with random weights and a vocabulary of letters, as a GGUF file, and what it computes in F64 by the
// book. For tests only.
#pragma once

#include <ggml-cpp.h>
#include <gguf.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "base/scratch_file.h"

namespace payonce::embed {

struct TinyShape {
  int64_t width = 32, heads = 2, layers = 2, ffn_width = 64, max_tokens = 24;
  int64_t pooling = 1;  // mean
  bool fused_qkv = false, biases = true;
  ggml_type type = GGML_TYPE_F32;  // of the matrices
};

class TinyBert {
 public:
  static constexpr int32_t kCls = 1, kSep = 2, kUnknown = 0, kFirstLetter = 3;

  explicit TinyBert(const TinyShape& shape, uint64_t seed = 1) : shape_(shape), random_(seed) {
    context_.reset(ggml_init({size_t{16} << 20U, nullptr, false}));
    keys_.reset(gguf_init_empty());
    add_vocabulary();
    add_keys();
    const int64_t width = shape.width;
    add("token_embd.weight", width, vocab(), 1, true);
    add("position_embd.weight", width, shape.max_tokens, 0.3, false);
    add("token_types.weight", width, 2, 0.3, false);
    norm("token_embd_norm");
    for (int64_t i = 0; i < shape.layers; ++i) layer("blk." + std::to_string(i) + ".");
  }

  int64_t vocab() const { return static_cast<int64_t>(tokens_.size()); }
  gguf_context* keys() { return keys_.get(); }
  ggml_tensor* tensor(const std::string& name) { return ggml_get_tensor(context_.get(), name.c_str()); }
  void write(const std::string& path) { gguf_write_to_file(keys_.get(), path.c_str(), false); }

  // Rows after the last layer, [tokens][width].
  std::vector<double> rows(const std::vector<int32_t>& ids) {
    const auto width = static_cast<size_t>(shape_.width);
    std::vector<double> x;
    for (size_t i = 0; i < ids.size(); ++i) {
      for (size_t d = 0; d < width; ++d) {
        x.push_back(at("token_embd.weight", static_cast<size_t>(ids[i]), d) + at("position_embd.weight", i, d) +
                    at("token_types.weight", 0, d));
      }
    }
    normalize(x, "token_embd_norm");
    for (int64_t i = 0; i < shape_.layers; ++i) apply(x, "blk." + std::to_string(i) + ".");
    return x;
  }

 private:
  void add_vocabulary() {
    tokens_ = {"[UNK]", "[CLS]", "[SEP]"};
    std::vector<int32_t> types = {3, 3, 3};
    for (const char* mark : {"\xE2\x96\x81", ""}) {
      for (char letter = 'a'; letter <= 'z'; ++letter) tokens_.push_back(std::string(mark) + letter);
    }
    types.resize(tokens_.size(), 1);
    std::vector<const char*> texts;
    for (const std::string& each : tokens_) texts.push_back(each.c_str());
    gguf_set_val_str(keys(), "tokenizer.ggml.model", "bert");
    gguf_set_arr_str(keys(), "tokenizer.ggml.tokens", texts.data(), texts.size());
    gguf_set_arr_data(keys(), "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(), types.size());
    gguf_set_val_u32(keys(), "tokenizer.ggml.unknown_token_id", kUnknown);
    gguf_set_val_u32(keys(), "tokenizer.ggml.bos_token_id", kCls);
    gguf_set_val_u32(keys(), "tokenizer.ggml.seperator_token_id", kSep);
    gguf_set_val_u32(keys(), "tokenizer.ggml.padding_token_id", kUnknown);
    gguf_set_val_u32(keys(), "tokenizer.ggml.mask_token_id", kUnknown);
  }

  void add_keys() {
    gguf_set_val_str(keys(), "general.architecture", "bert");
    gguf_set_val_str(keys(), "general.name", "tiny");
    gguf_set_val_u32(keys(), "bert.block_count", static_cast<uint32_t>(shape_.layers));
    gguf_set_val_u32(keys(), "bert.embedding_length", static_cast<uint32_t>(shape_.width));
    gguf_set_val_u32(keys(), "bert.feed_forward_length", static_cast<uint32_t>(shape_.ffn_width));
    gguf_set_val_u32(keys(), "bert.attention.head_count", static_cast<uint32_t>(shape_.heads));
    gguf_set_val_u32(keys(), "bert.context_length", static_cast<uint32_t>(shape_.max_tokens));
    gguf_set_val_u32(keys(), "bert.pooling_type", static_cast<uint32_t>(shape_.pooling));
    gguf_set_val_f32(keys(), "bert.attention.layer_norm_epsilon", 1e-12F);
    gguf_set_val_bool(keys(), "bert.attention.causal", false);
    gguf_set_val_u32(keys(), "tokenizer.ggml.token_type_count", 2);
  }

  void layer(const std::string& name) {
    const int64_t width = shape_.width, ffn = shape_.ffn_width;
    if (shape_.fused_qkv) {
      linear(name + "attn_qkv", width, 3 * width);
    } else {
      for (const char* part : {"attn_q", "attn_k", "attn_v"}) linear(name + part, width, width);
    }
    linear(name + "attn_output", width, width);
    norm(name + "attn_output_norm");
    linear(name + "ffn_up", width, ffn);
    linear(name + "ffn_down", ffn, width);
    norm(name + "layer_output_norm");
  }

  void linear(const std::string& name, int64_t inputs, int64_t outputs) {
    add(name + ".weight", inputs, outputs, 1.5 / std::sqrt(static_cast<double>(inputs)), true);
    if (shape_.biases) add(name + ".bias", outputs, 1, 0.2, false);
  }
  void norm(const std::string& name) {
    add(name + ".weight", shape_.width, 1, 0.2, false);
    for (double& each : values_[name + ".weight"].numbers) each += 1;
    store(name + ".weight");
    add(name + ".bias", shape_.width, 1, 0.2, false);
  }

  struct Values {
    size_t width = 0;
    std::vector<double> numbers;
  };
  void add(const std::string& name, int64_t width, int64_t rows, double spread, bool matrix) {
    std::normal_distribution<double> normal(0, spread);
    Values& values = values_[name];
    values.width = static_cast<size_t>(width);
    for (int64_t i = 0; i < width * rows; ++i) values.numbers.push_back(static_cast<float>(normal(random_)));
    const ggml_type type = matrix ? shape_.type : GGML_TYPE_F32;
    ggml_tensor* out = rows == 1 ? ggml_new_tensor_1d(context_.get(), type, width)
                                 : ggml_new_tensor_2d(context_.get(), type, width, rows);
    ggml_set_name(out, name.c_str());
    gguf_add_tensor(keys(), out);
    store(name);
  }
  // Writes the numbers into the tensor, and keeps what its type has left of them.
  void store(const std::string& name) {
    std::vector<double>& numbers = values_[name].numbers;
    std::vector<float> floats(numbers.begin(), numbers.end());
    ggml_tensor* out = tensor(name);
    const auto width = static_cast<int64_t>(values_[name].width);
    ggml_quantize_chunk(out->type, floats.data(), out->data, 0, static_cast<int64_t>(floats.size()) / width, width,
                        nullptr);
    if (out->type != GGML_TYPE_F32) {
      ggml_get_type_traits(out->type)->to_float(out->data, floats.data(), static_cast<int64_t>(floats.size()));
    }
    numbers.assign(floats.begin(), floats.end());
  }

  double at(const std::string& name, size_t row, size_t column) const {
    const auto found = values_.find(name);
    return found == values_.end() ? 0 : found->second.numbers[row * found->second.width + column];
  }

  void normalize(std::vector<double>& x, const std::string& name) const {
    const auto width = static_cast<size_t>(shape_.width);
    for (size_t row = 0; row < x.size(); row += width) {
      double mean = 0, variance = 0;
      for (size_t d = 0; d < width; ++d) mean += x[row + d] / static_cast<double>(width);
      for (size_t d = 0; d < width; ++d) variance += std::pow(x[row + d] - mean, 2) / static_cast<double>(width);
      for (size_t d = 0; d < width; ++d) {
        x[row + d] =
            (x[row + d] - mean) / std::sqrt(variance + 1e-12) * at(name + ".weight", 0, d) + at(name + ".bias", 0, d);
      }
    }
  }

  std::vector<double> times(const std::vector<double>& x, const std::string& name, size_t first_output,
                            size_t outputs) const {
    const size_t inputs = values_.at(name + ".weight").width;
    std::vector<double> out;
    for (size_t row = 0; row < x.size(); row += inputs) {
      for (size_t o = first_output; o < first_output + outputs; ++o) {
        double sum = at(name + ".bias", 0, o);
        for (size_t i = 0; i < inputs; ++i) sum += x[row + i] * at(name + ".weight", o, i);
        out.push_back(sum);
      }
    }
    return out;
  }

  void apply(std::vector<double>& x, const std::string& name) const {
    const auto width = static_cast<size_t>(shape_.width), ffn = static_cast<size_t>(shape_.ffn_width);
    const auto part = [&](const char* which, size_t index) {
      return shape_.fused_qkv ? times(x, name + "attn_qkv", index * width, width) : times(x, name + which, 0, width);
    };
    const std::vector<double> q = part("attn_q", 0), k = part("attn_k", 1), v = part("attn_v", 2);
    add_to(x, times(attend(q, k, v), name + "attn_output", 0, width));
    normalize(x, name + "attn_output_norm");
    std::vector<double> hidden = times(x, name + "ffn_up", 0, ffn);
    for (double& each : hidden) each = each / 2 * (1 + std::erf(each / std::sqrt(2.0)));
    add_to(x, times(hidden, name + "ffn_down", 0, width));
    normalize(x, name + "layer_output_norm");
  }
  static void add_to(std::vector<double>& x, const std::vector<double>& y) {
    for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
  }

  std::vector<double> attend(const std::vector<double>& q, const std::vector<double>& k,
                             const std::vector<double>& v) const {
    const auto width = static_cast<size_t>(shape_.width), head_dim = width / static_cast<size_t>(shape_.heads);
    std::vector<double> out(q.size(), 0.0);
    for (size_t row = 0; row < q.size(); row += width) {
      for (size_t head = 0; head < width; head += head_dim) {
        std::vector<double> weights;
        double sum = 0;
        for (size_t key = 0; key < k.size(); key += width) {
          double score = 0;
          for (size_t d = 0; d < head_dim; ++d) score += q[row + head + d] * k[key + head + d];
          weights.push_back(std::exp(score / std::sqrt(static_cast<double>(head_dim))));
          sum += weights.back();
        }
        for (size_t key = 0; key < weights.size(); ++key) {
          for (size_t d = 0; d < head_dim; ++d) out[row + head + d] += weights[key] / sum * v[key * width + head + d];
        }
      }
    }
    return out;
  }

  TinyShape shape_;
  std::mt19937_64 random_;
  ggml_context_ptr context_;
  gguf_context_ptr keys_;
  std::vector<std::string> tokens_;
  std::map<std::string, Values> values_;
};

using base::ScratchFile;

}  // namespace payonce::embed
