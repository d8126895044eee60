// GGUF files with random F32 weights, the same as tools/make_random_model.py writes (there the reasons). For tests
// only.
#pragma once

#include <ggml-cpp.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace payonce::engine {

struct RandomShape {
  std::string architecture;
  int64_t width = 64, heads = 4, kv_heads = 2, head_dim = 16, ffn_width = 192;
  float rope_base = 10000, norm_epsilon = 1e-6F;
  int64_t window = 0;
  bool qkv_bias = false, qk_norm = false, post_norms = false;
  std::vector<float> rope_factors;
  float yarn_factor = 0;
  int64_t yarn_original_context = 0;
};

inline RandomShape random_shape(std::string_view name) {
  if (name == "llama-tiny") {
    return {.architecture = "llama", .norm_epsilon = 1e-5F, .rope_factors = {1, 1, 4.3076181F, 8, 8, 8, 8, 8}};
  }
  if (name == "qwen2.5-0.5b") {
    return {.architecture = "qwen2",
            .width = 896,
            .heads = 14,
            .kv_heads = 2,
            .head_dim = 64,
            .ffn_width = 4864,
            .rope_base = 1e6F,
            .qkv_bias = true};
  }
  if (name == "qwen2-yarn-tiny") {
    return {.architecture = "qwen2", .qkv_bias = true, .yarn_factor = 4, .yarn_original_context = 32};
  }
  if (name == "qwen3-0.6b") {
    return {.architecture = "qwen3",
            .width = 1024,
            .heads = 16,
            .kv_heads = 8,
            .head_dim = 128,
            .ffn_width = 3072,
            .rope_base = 1e6F,
            .qk_norm = true};
  }
  return {.architecture = "gemma3",
          .kv_heads = 1,
          .head_dim = 32,
          .rope_base = 1e6F,
          .window = 24,
          .qk_norm = true,
          .post_norms = true};
}

class RandomModel {
 public:
  RandomModel(RandomShape shape, int64_t layers, int64_t vocab)
      : shape_(std::move(shape)), layers_(layers), vocab_(vocab) {
    const int64_t width = shape_.width, ffn = shape_.ffn_width, head = shape_.head_dim;
    const int64_t q = shape_.heads * head, kv = shape_.kv_heads * head;
    const size_t floats = static_cast<size_t>(
        2 * width * vocab + layers * (width * (2 * q + 2 * kv + 3 * ffn) + 4 * width + q + 2 * kv + 2 * head) + 4096);
    context_.reset(
        ggml_init({floats * sizeof(float) + (static_cast<size_t>(layers) * 20 + 16) * 1024, nullptr, false}));
    keys_.reset(gguf_init_empty());
    keys();
    const double spread = std::sqrt(3.0 / (shape_.architecture == "gemma3" ? static_cast<double>(width) : 1.0));
    add("token_embd.weight", width, vocab, 0, spread);
    add("output_norm.weight", width, 1, 1, 0.25);
    matrix("output.weight", width, vocab);
    if (!shape_.rope_factors.empty()) {
      ggml_tensor* factors = ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, head / 2);
      std::copy(shape_.rope_factors.begin(), shape_.rope_factors.end(), static_cast<float*>(factors->data));
      ggml_set_name(factors, "rope_freqs.weight");
      gguf_add_tensor(keys_.get(), factors);
    }
    for (int64_t i = 0; i < layers; ++i) layer("blk." + std::to_string(i) + ".", q, kv);
  }

  void write(const std::string& path) const { gguf_write_to_file(keys_.get(), path.c_str(), false); }
  gguf_context* gguf() { return keys_.get(); }  // for tests that change it before write()

  static std::vector<float> uniform(const std::string& name, size_t count) {
    uint64_t seed = 0xCBF29CE484222325ULL ^ 1;
    for (const char c : name) seed = (seed ^ static_cast<unsigned char>(c)) * 0x100000001B3ULL;
    std::vector<float> out(count);
    for (size_t i = 0; i < count; ++i) {
      uint64_t x = seed + (i + 1) * 0x9E3779B97F4A7C15ULL;
      x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9ULL;
      x = (x ^ x >> 27) * 0x94D049BB133111EBULL;
      x = x ^ x >> 31;
      out[i] = static_cast<float>(static_cast<double>(x >> 40) / (1 << 23) - 1.0);
    }
    return out;
  }

 private:
  void integer(const char* key, int64_t value) {
    gguf_set_val_u32(keys_.get(), (shape_.architecture + "." + key).c_str(), static_cast<uint32_t>(value));
  }
  void real(const char* key, float value) {
    gguf_set_val_f32(keys_.get(), (shape_.architecture + "." + key).c_str(), value);
  }

  void keys() {
    gguf_set_val_str(keys_.get(), "general.architecture", shape_.architecture.c_str());
    gguf_set_val_str(keys_.get(), "general.name", "random weights");
    gguf_set_val_str(keys_.get(), "tokenizer.ggml.model", "no_vocab");
    integer("vocab_size", vocab_);
    integer("block_count", layers_);
    integer("context_length", 4096);
    integer("embedding_length", shape_.width);
    integer("feed_forward_length", shape_.ffn_width);
    integer("attention.head_count", shape_.heads);
    integer("attention.head_count_kv", shape_.kv_heads);
    integer("attention.key_length", shape_.head_dim);
    integer("attention.value_length", shape_.head_dim);
    real("attention.layer_norm_rms_epsilon", shape_.norm_epsilon);
    real("rope.freq_base", shape_.rope_base);
    if (shape_.window) integer("attention.sliding_window", shape_.window);
    if (shape_.yarn_factor > 0) {
      gguf_set_val_str(keys_.get(), (shape_.architecture + ".rope.scaling.type").c_str(), "yarn");
      real("rope.scaling.factor", shape_.yarn_factor);
      integer("rope.scaling.original_context_length", shape_.yarn_original_context);
    }
  }

  void layer(const std::string& prefix, int64_t q, int64_t kv) {
    const int64_t width = shape_.width, ffn = shape_.ffn_width;
    add(prefix + "attn_norm.weight", width, 1, 1, 0.25);
    matrix(prefix + "attn_q.weight", width, q);
    matrix(prefix + "attn_k.weight", width, kv);
    matrix(prefix + "attn_v.weight", width, kv);
    matrix(prefix + "attn_output.weight", q, width);
    if (shape_.qkv_bias) {
      add(prefix + "attn_q.bias", q, 1, 0, 0.25);
      add(prefix + "attn_k.bias", kv, 1, 0, 0.25);
      add(prefix + "attn_v.bias", kv, 1, 0, 0.25);
    }
    if (shape_.qk_norm) {
      add(prefix + "attn_q_norm.weight", shape_.head_dim, 1, 1, 0.25);
      add(prefix + "attn_k_norm.weight", shape_.head_dim, 1, 1, 0.25);
    }
    if (shape_.post_norms) {
      add(prefix + "post_attention_norm.weight", width, 1, 1, 0.25);
      add(prefix + "post_ffw_norm.weight", width, 1, 1, 0.25);
    }
    add(prefix + "ffn_norm.weight", width, 1, 1, 0.25);
    matrix(prefix + "ffn_gate.weight", width, ffn);
    matrix(prefix + "ffn_up.weight", width, ffn);
    matrix(prefix + "ffn_down.weight", ffn, width);
  }

  void matrix(const std::string& name, int64_t in, int64_t out) {
    add(name, in, out, 0, std::sqrt(3.0 / static_cast<double>(in)));
  }

  void add(const std::string& name, int64_t in, int64_t out, double middle, double spread) {
    ggml_tensor* tensor = out == 1 ? ggml_new_tensor_1d(context_.get(), GGML_TYPE_F32, in)
                                   : ggml_new_tensor_2d(context_.get(), GGML_TYPE_F32, in, out);
    const std::vector<float> values = uniform(name, static_cast<size_t>(in * out));
    for (size_t i = 0; i < values.size(); ++i)
      static_cast<float*>(tensor->data)[i] = static_cast<float>(middle + spread * static_cast<double>(values[i]));
    ggml_set_name(tensor, name.c_str());
    gguf_add_tensor(keys_.get(), tensor);
  }

  RandomShape shape_;
  int64_t layers_, vocab_;
  ggml_context_ptr context_;
  gguf_context_ptr keys_;
};

}  // namespace payonce::engine
