#include "engine/model/weights.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <initializer_list>
#include <string>

namespace payonce::engine {

namespace {

std::string shape_text(const int64_t* shape) {
  std::string out = fmt::format("[{}", shape[0]);
  int last = GGML_MAX_DIMS - 1;
  while (last > 0 && shape[last] == 1) --last;
  for (int i = 1; i <= last; ++i) out += fmt::format(", {}", shape[i]);
  return out + "]";
}

class Finder {
 public:
  Finder(const GgufFile& file, const Hyper& hyper, Weights& out) : file_(file), hyper_(hyper), out_(out) {}

  base::Status find() {
    const GgufFile::Tensor* embedding = file_.find("token_embd.weight");
    if (!embedding) return file_.invalid("tensor 'token_embd.weight' is missing");
    constexpr int64_t kMaxVocab = 1 << 24;
    if (embedding->shape[1] < 2 || embedding->shape[1] > kMaxVocab) {
      return file_.invalid(fmt::format("tensor 'token_embd.weight' is {}", shape_text(embedding->shape)));
    }
    const int64_t vocab = embedding->shape[1], width = hyper_.width;
    out_.vocab_size = static_cast<int32_t>(vocab);
    PAYONCE_CHECK_OK(matrix(out_.embedding, "token_embd.weight", width, vocab));
    PAYONCE_CHECK_OK(vector(out_.output_norm, "output_norm.weight", width));
    const bool tied = !file_.find("output.weight");
    PAYONCE_CHECK_OK(matrix(out_.output, tied ? "token_embd.weight" : "output.weight", width, vocab));
    PAYONCE_CHECK_OK(optional_vector(out_.output_bias, "output.bias", vocab));
    PAYONCE_CHECK_OK(optional_vector(out_.rope_factors, "rope_freqs.weight", hyper_.rope_dims / 2));
    if (file_.find("rope_factors_long.weight") || file_.find("blk.0.rope_factors_long.weight")) {
      return file_.invalid("LongRoPE is not supported");
    }
    out_.layers.resize(static_cast<size_t>(hyper_.layers));
    for (size_t i = 0; i < out_.layers.size(); ++i)
      PAYONCE_CHECK_OK(layer(fmt::format("blk.{}.", i), out_.layers[i]));
    for (const GgufFile::Tensor& tensor : file_.tensors()) {
      out_.parameters += static_cast<uint64_t>(tensor.shape[0] * tensor.shape[1] * tensor.shape[2] * tensor.shape[3]);
    }
    return {};
  }

  // Enough for find(): the context holds the tensors' descriptions only.
  static size_t context_bytes(const Hyper& hyper) {
    constexpr size_t kPerLayer = 24, kOthers = 16;
    return (static_cast<size_t>(hyper.layers) * kPerLayer + kOthers) * ggml_tensor_overhead();
  }

 private:
  base::Status layer(const std::string& name, LayerWeights& out) {
    const Architecture& architecture = *hyper_.architecture;
    const int64_t width = hyper_.width, ffn = hyper_.ffn_width, head = hyper_.head_dim;
    const int64_t q_width = hyper_.q_heads * head, kv_width = hyper_.kv_heads * head;
    PAYONCE_CHECK_OK(vector(out.attention_norm, name + "attn_norm.weight", width));
    PAYONCE_CHECK_OK(matrix(out.q, name + "attn_q.weight", width, q_width));
    PAYONCE_CHECK_OK(matrix(out.k, name + "attn_k.weight", width, kv_width));
    PAYONCE_CHECK_OK(matrix(out.v, name + "attn_v.weight", width, kv_width));
    PAYONCE_CHECK_OK(matrix(out.out, name + "attn_output.weight", q_width, width));
    PAYONCE_CHECK_OK(optional_vector(out.q_bias, name + "attn_q.bias", q_width));
    PAYONCE_CHECK_OK(optional_vector(out.k_bias, name + "attn_k.bias", kv_width));
    PAYONCE_CHECK_OK(optional_vector(out.v_bias, name + "attn_v.bias", kv_width));
    PAYONCE_CHECK_OK(optional_vector(out.out_bias, name + "attn_output.bias", width));
    if (architecture.qk_norm) {
      PAYONCE_CHECK_OK(vector(out.q_norm, name + "attn_q_norm.weight", head));
      PAYONCE_CHECK_OK(vector(out.k_norm, name + "attn_k_norm.weight", head));
    }
    PAYONCE_CHECK_OK(vector(out.ffn_norm, name + "ffn_norm.weight", width));
    if (architecture.post_norms) {
      PAYONCE_CHECK_OK(vector(out.post_attention_norm, name + "post_attention_norm.weight", width));
      PAYONCE_CHECK_OK(vector(out.post_ffn_norm, name + "post_ffw_norm.weight", width));
    }
    PAYONCE_CHECK_OK(matrix(out.gate, name + "ffn_gate.weight", width, ffn));
    PAYONCE_CHECK_OK(matrix(out.up, name + "ffn_up.weight", width, ffn));
    PAYONCE_CHECK_OK(matrix(out.down, name + "ffn_down.weight", ffn, width));
    PAYONCE_CHECK_OK(optional_vector(out.gate_bias, name + "ffn_gate.bias", ffn));
    PAYONCE_CHECK_OK(optional_vector(out.up_bias, name + "ffn_up.bias", ffn));
    return optional_vector(out.down_bias, name + "ffn_down.bias", width);
  }

  base::Status matrix(ggml_tensor*& out, const std::string& name, int64_t in_width, int64_t out_width) {
    return take(out, name, in_width, out_width, true);
  }
  base::Status vector(ggml_tensor*& out, const std::string& name, int64_t width) {
    return take(out, name, width, 1, false);
  }
  base::Status optional_vector(ggml_tensor*& out, const std::string& name, int64_t width) {
    return file_.find(name) ? take(out, name, width, 1, false) : base::Status{};
  }

  base::Status take(ggml_tensor*& out, const std::string& name, int64_t in_width, int64_t out_width, bool is_matrix) {
    const GgufFile::Tensor* found = file_.find(name);
    if (!found) return file_.invalid(fmt::format("tensor '{}' is missing", name));
    const int64_t expected[4] = {in_width, out_width, 1, 1};
    if (!std::equal(expected, expected + 4, found->shape)) {
      return file_.invalid(
          fmt::format("tensor '{}' is {}, expected {}", name, shape_text(found->shape), shape_text(expected)));
    }
    if (is_matrix ? !found->has_floats() : found->type != GGML_TYPE_F32) {
      return file_.invalid(
          fmt::format("tensor '{}' has type {}, which is not supported there", name, ggml_type_name(found->type)));
    }
    out = ggml_new_tensor_2d(out_.context.get(), found->type, in_width, out_width);
    ggml_set_name(out, name.c_str());
    out_.sources.emplace_back(out, found);
    return {};
  }

  const GgufFile& file_;
  const Hyper& hyper_;
  Weights& out_;
};

}  // namespace

base::Result<Weights> Weights::find(const GgufFile& file, const Hyper& hyper) {
  Weights out;
  out.context.reset(ggml_init({Finder::context_bytes(hyper), nullptr, /*no_alloc=*/true}));
  if (!out.context) return base::fail(base::Code::kExhausted, "no memory for the tensors' descriptions");
  PAYONCE_CHECK_OK(Finder(file, hyper, out).find());
  return out;
}

base::Status Weights::map(const GgufFile& file) {
  void* mapping = const_cast<char*>(file.bytes().data());
  madvise(mapping, file.bytes().size(), MADV_WILLNEED);  // read ahead while we set up
  buffers.emplace_back(ggml_backend_cpu_buffer_from_ptr(mapping, file.bytes().size()));
  ggml_backend_buffer_set_usage(buffers.back().get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  for (const auto& [tensor, source] : sources) {
    if (ggml_backend_tensor_alloc(buffers.back().get(), tensor, const_cast<void*>(source->data)) !=
        GGML_STATUS_SUCCESS) {
      return base::fail(base::Code::kInternal, fmt::format("tensor '{}' cannot be mapped", source->name));
    }
  }
  return {};
}

base::Status Weights::copy(const GgufFile& file, ggml_backend_buffer_type_t buffer_type) {
  // Rows of the embedding are looked up on the CPU: few devices can do that for every type.
  buffers.emplace_back(ggml_backend_cpu_buffer_from_ptr(const_cast<char*>(file.bytes().data()), file.bytes().size()));
  ggml_backend_tensor_alloc(buffers.back().get(), embedding, const_cast<void*>(sources[0].second->data));
  buffers.emplace_back(ggml_backend_alloc_ctx_tensors_from_buft(context.get(), buffer_type));
  if (!buffers.back()) return base::fail(base::Code::kExhausted, "the device has no memory for the weights");
  ggml_backend_buffer_set_usage(buffers.back().get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  for (size_t i = 1; i < sources.size(); ++i) {
    ggml_backend_tensor_set(sources[i].first, sources[i].second->data, 0, sources[i].second->bytes);
  }
  return {};
}

}  // namespace payonce::engine
