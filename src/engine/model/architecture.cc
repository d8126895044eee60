#include "engine/model/architecture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>

namespace payonce::engine {

namespace {

constexpr Architecture kArchitectures[] = {
    {.name = "llama"},
    {.name = "qwen2", .rope_halves = true},
    {.name = "qwen3", .rope_halves = true, .qk_norm = true},
    {.name = "gemma3",
     .rope_halves = true,
     .qk_norm = true,
     .post_norms = true,
     .gelu = true,
     .scaled_embedding = true,
     .sliding = true},
};
constexpr int64_t kMaxLayers = 512;
constexpr int64_t kMaxWidth = 1 << 20;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 4096;
constexpr int64_t kMaxContext = int64_t{1} << 30;
constexpr int64_t kGemmaPattern = 6;     // every sixth layer attends to everything
constexpr int32_t kGemma27bLayers = 62;  // the one size whose scores are scaled by width / heads

class Reader {
 public:
  Reader(const GgufFile& file, const Architecture& architecture) : file_(file) { out_.architecture = &architecture; }

  base::Result<Hyper> read() {
    PAYONCE_CHECK_OK(sizes());
    PAYONCE_CHECK_OK(heads());
    PAYONCE_CHECK_OK(rope());
    PAYONCE_CHECK_OK(window());
    const auto head = static_cast<float>(out_.head_dim);
    const bool by_width = out_.architecture->sliding && out_.layers == kGemma27bLayers;
    const auto scaled_by = by_width ? static_cast<float>(out_.width / out_.q_heads) : head;
    out_.attention_scale = 1.0F / std::sqrt(scaled_by);
    return out_;
  }

 private:
  std::string key(const char* rest) const { return fmt::format("{}.{}", out_.architecture->name, rest); }

  base::Status integer(int32_t& out, const char* rest, int64_t absent, int64_t least, int64_t most) {
    PAYONCE_TRY(const int64_t value, file_.integer(key(rest), absent));
    if (value < least || value > most) {
      const bool missing = !file_.has(key(rest));
      return file_.invalid(missing ? fmt::format("key '{}' is missing", key(rest))
                                   : fmt::format("key '{}' is {}, expected {} to {}", key(rest), value, least, most));
    }
    out = static_cast<int32_t>(value);
    return {};
  }

  base::Status real(float& out, const char* rest, float absent, float least, float most) {
    PAYONCE_TRY(out, file_.real(key(rest), absent));
    if (!(out >= least && out <= most)) return file_.invalid(fmt::format("key '{}' is {}", key(rest), out));
    return {};
  }

  base::Status sizes() {
    PAYONCE_CHECK_OK(integer(out_.layers, "block_count", 0, 1, kMaxLayers));
    PAYONCE_CHECK_OK(integer(out_.width, "embedding_length", 0, 1, kMaxWidth));
    PAYONCE_CHECK_OK(integer(out_.ffn_width, "feed_forward_length", 0, 1, kMaxWidth));
    PAYONCE_CHECK_OK(integer(out_.context_tokens, "context_length", 0, 1, kMaxContext));
    PAYONCE_CHECK_OK(real(out_.norm_epsilon, "attention.layer_norm_rms_epsilon", -1, 0, 1));
    PAYONCE_CHECK_OK(real(out_.final_softcap, "final_logit_softcapping", 0, 0, 1e6F));
    PAYONCE_TRY(const int64_t experts, file_.integer(key("expert_count"), 0));
    if (experts > 0) return file_.invalid("a mixture of experts is not supported");
    return {};
  }

  base::Status heads() {
    PAYONCE_CHECK_OK(integer(out_.q_heads, "attention.head_count", 0, 1, kMaxHeads));
    PAYONCE_CHECK_OK(integer(out_.kv_heads, "attention.head_count_kv", out_.q_heads, 1, out_.q_heads));
    if (out_.q_heads % out_.kv_heads) {
      return file_.invalid(fmt::format("{} heads do not divide by {} KV heads", out_.q_heads, out_.kv_heads));
    }
    const int32_t by_width = out_.width / out_.q_heads;
    PAYONCE_CHECK_OK(integer(out_.head_dim, "attention.key_length", by_width, 8, kMaxHeadDim));
    int32_t value_dim = 0;
    PAYONCE_CHECK_OK(integer(value_dim, "attention.value_length", by_width, 8, kMaxHeadDim));
    if (value_dim != out_.head_dim) {
      return file_.invalid(
          fmt::format("keys of {} and values of {} dimensions: equal ones are supported", out_.head_dim, value_dim));
    }
    if (out_.head_dim % 8) return file_.invalid(fmt::format("head_dim {} is no multiple of 8", out_.head_dim));
    return {};
  }

  base::Status rope() {
    PAYONCE_CHECK_OK(integer(out_.rope_dims, "rope.dimension_count", out_.head_dim, 2, out_.head_dim));
    if (out_.rope_dims % 2) return file_.invalid(fmt::format("RoPE over {} dimensions", out_.rope_dims));
    PAYONCE_CHECK_OK(integer(out_.rope_original_context, "rope.scaling.original_context_length", out_.context_tokens,
                             1, kMaxContext));
    PAYONCE_CHECK_OK(real(out_.rope.base, "rope.freq_base", 10000, 1, 1e12F));
    PAYONCE_CHECK_OK(real(out_.rope_sliding.base, "rope.freq_base_swa", 10000, 1, 1e12F));
    float factor = 0;
    PAYONCE_CHECK_OK(real(factor, "rope.scale_linear", 0, 0, 1e6F));
    PAYONCE_CHECK_OK(real(factor, "rope.scaling.factor", factor, 0, 1e6F));
    PAYONCE_TRY(const std::string kind, file_.text(key("rope.scaling.type"), "linear"));
    if (kind != "none" && kind != "linear" && kind != "yarn") {
      return file_.invalid(fmt::format("RoPE scaling '{}' is not supported (known: none, linear, yarn)", kind));
    }
    out_.rope.scale = kind == "none" || factor == 0 ? 1.0F : 1.0F / factor;
    PAYONCE_CHECK_OK(real(out_.rope_attention_factor, "rope.scaling.attn_factor", 1, 0, 1e6F));
    if (kind == "yarn") {
      out_.rope_extrapolation = 1;
      // ggml multiplies by 1 + 0.1 ln(1/scale) where YaRN is on, llama.cpp by the same where the scale is below 1,
      // and divides by it first: what is left differs from 1 for a factor below 1 only.
      const float log_factor = 0.1F * std::log(1.0F / out_.rope.scale);
      out_.rope_attention_factor *= (out_.rope.scale < 1 ? 1 + log_factor : 1.0F) * (1.0F / (1.0F + log_factor));
    }
    return {};
  }

  base::Status window() {
    out_.layer_is_sliding.assign(static_cast<size_t>(out_.layers), false);
    if (!out_.architecture->sliding) return {};
    PAYONCE_CHECK_OK(integer(out_.window, "attention.sliding_window", 0, 0, kMaxContext));
    if (!out_.window) return {};
    PAYONCE_TRY(const std::vector<int64_t> listed, file_.integers(key("attention.sliding_window_pattern")));
    if (!listed.empty() && listed.size() != out_.layer_is_sliding.size()) {
      return file_.invalid(fmt::format("{} layers, but sliding_window_pattern lists {}", out_.layers, listed.size()));
    }
    int64_t pattern = kGemmaPattern;
    if (listed.empty()) {
      PAYONCE_TRY(pattern, file_.integer(key("attention.sliding_window_pattern"), kGemmaPattern));
      if (pattern < 0) return file_.invalid(fmt::format("sliding_window_pattern is {}", pattern));
    }
    for (size_t i = 0; i < out_.layer_is_sliding.size(); ++i) {
      const bool by_pattern = pattern == 0 || static_cast<int64_t>(i) % pattern < pattern - 1;
      out_.layer_is_sliding[i] = listed.empty() ? by_pattern : listed[i] != 0;
    }
    if (!out_.sliding_layers()) out_.window = 0;
    return {};
  }

  const GgufFile& file_;
  Hyper out_;
};

}  // namespace

base::Result<const Architecture*> find_architecture(const GgufFile& file) {
  PAYONCE_TRY(const std::string name, file.text("general.architecture", ""));
  std::string known;
  for (const Architecture& each : kArchitectures) {
    if (each.name == name) return &each;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", each.name);
  }
  return file.invalid(fmt::format("architecture '{}' is not supported (known: {})", name, known));
}

int32_t Hyper::sliding_layers() const {
  return static_cast<int32_t>(std::count(layer_is_sliding.begin(), layer_is_sliding.end(), true));
}

base::Result<Hyper> read_hyper(const GgufFile& file) {
  PAYONCE_TRY(const Architecture* architecture, find_architecture(file));
  return Reader(file, *architecture).read();
}

}  // namespace payonce::engine
