#include "embed/bert_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "embed/kernels.h"

namespace payonce::embed {

namespace {

using engine::GgufFile;

constexpr int64_t kMaxLayers = 512;
constexpr int64_t kMaxHeads = 1024;
constexpr int64_t kMaxVocab = 1 << 24;
constexpr int64_t kMaxTokens = 1 << 16;
constexpr int64_t kDefaultMaxTokens = 512;  // BERT's
enum PoolingKey : int64_t { kNone = 0, kMean = 1, kCls = 2, kLast = 3, kRank = 4 };

auto invalid(const GgufFile& file, const std::string& what) {
  return base::fail(base::Code::kInvalid, fmt::format("{}: {}", file.path(), what));
}

class Reader {
 public:
  explicit Reader(BertFile& out) : out_(out), file_(*out.file) {}

  base::Status read() {
    PAYONCE_TRY(const std::string architecture, file_.text("general.architecture", ""));
    if (architecture != "bert") {
      return invalid(file_, fmt::format("architecture '{}' is not an embedder's (known: bert)", architecture));
    }
    PAYONCE_TRY(out_.name, file_.text("general.name", ""));
    if (out_.name.empty()) out_.name = std::filesystem::path(file_.path()).stem().string();
    PAYONCE_CHECK_OK(sizes());
    PAYONCE_CHECK_OK(pooling());
    return tensors();
  }

 private:
  base::Status sizes() {
    BertShape& shape = out_.shape;
    PAYONCE_CHECK_OK(integer(shape.layers, "block_count", 0, kMaxLayers));
    PAYONCE_CHECK_OK(integer(shape.width, "embedding_length", 0, kMaxWidth));
    PAYONCE_CHECK_OK(integer(shape.heads, "attention.head_count", 0, kMaxHeads));
    PAYONCE_CHECK_OK(integer(shape.ffn_width, "feed_forward_length", 0, kMaxWidth));
    PAYONCE_CHECK_OK(integer(shape.max_tokens, "context_length", kDefaultMaxTokens, kMaxTokens));
    if (shape.max_tokens < 3) return invalid(file_, "key 'bert.context_length' leaves no room for a text");
    PAYONCE_TRY(shape.norm_epsilon, file_.real("bert.attention.layer_norm_epsilon", 1e-12F));
    if (!(shape.norm_epsilon >= 0 && shape.norm_epsilon < 1)) {
      return invalid(file_, fmt::format("key 'bert.attention.layer_norm_epsilon' is {}", shape.norm_epsilon));
    }
    const int32_t head_dim = shape.width / shape.heads;
    if (head_dim * shape.heads != shape.width || head_dim % kWidthStep != 0 || shape.ffn_width % kWidthStep != 0) {
      return invalid(file_, fmt::format("width {} in {} heads and {} of the feed-forward part: expected multiples of "
                                        "{} for a head and for the feed-forward part",
                                        shape.width, shape.heads, shape.ffn_width, kWidthStep));
    }
    shape.head_dim = head_dim;
    return {};
  }

  base::Status integer(int32_t& out, const std::string& rest, int64_t absent, int64_t most) {
    const std::string key = "bert." + rest;
    PAYONCE_TRY(const int64_t value, file_.integer(key, absent));
    if (value == 0 && !file_.has(key)) return invalid(file_, fmt::format("key '{}' is missing", key));
    if (value < 1 || value > most) {
      return invalid(file_, fmt::format("key '{}' is {}, expected 1 to {}", key, value, most));
    }
    out = static_cast<int32_t>(value);
    return {};
  }

  base::Status pooling() {
    PAYONCE_TRY(const int64_t kind, file_.integer("bert.pooling_type", kMean));
    if (kind != kMean && kind != kCls) {
      const char* what = kind == kRank   ? " (a reranker)"
                         : kind == kLast ? " (the last token)"
                         : kind == kNone ? " (none)"
                                         : "";
      return invalid(file_,
                     fmt::format("key 'bert.pooling_type' is {}{}, expected 1 (mean) or 2 ([CLS])", kind, what));
    }
    out_.shape.pooling = kind == kMean ? Pooling::kMean : Pooling::kCls;
    return {};
  }

  base::Status tensors() {
    BertShape& shape = out_.shape;
    const GgufFile::Tensor* words = file_.find("token_embd.weight");
    if (!words) return invalid(file_, "tensor 'token_embd.weight' is missing");
    if (words->shape[1] < 1 || words->shape[1] > kMaxVocab) {
      return invalid(file_, fmt::format("tensor 'token_embd.weight' has {} rows", words->shape[1]));
    }
    shape.vocab = static_cast<int32_t>(words->shape[1]);
    PAYONCE_CHECK_OK(matrix(out_.tokens, "token_embd.weight", shape.width, shape.vocab));
    const GgufFile::Tensor* positions = file_.find("position_embd.weight");
    if (positions && positions->shape[1] > 0 && positions->shape[1] < shape.max_tokens) {
      return invalid(file_, fmt::format("tensor 'position_embd.weight' has {} rows, but the context is {} tokens",
                                        positions->shape[1], shape.max_tokens));
    }
    PAYONCE_CHECK_OK(
        matrix(out_.positions, "position_embd.weight", shape.width, positions ? positions->shape[1] : 0));
    if (const GgufFile::Tensor* types = file_.find("token_types.weight")) {
      PAYONCE_CHECK_OK(matrix(out_.types, "token_types.weight", shape.width, types->shape[1]));
    }
    PAYONCE_CHECK_OK(vector(out_.norm, "token_embd_norm.weight", shape.width));
    PAYONCE_CHECK_OK(vector(out_.norm_bias, "token_embd_norm.bias", shape.width));
    out_.layers.resize(static_cast<size_t>(shape.layers));
    for (size_t i = 0; i < out_.layers.size(); ++i) {
      PAYONCE_CHECK_OK(layer(fmt::format("blk.{}.", i), out_.layers[i]));
    }
    return {};
  }

  base::Status layer(const std::string& name, BertLayer& out) {
    const int64_t width = out_.shape.width, ffn = out_.shape.ffn_width;
    if (file_.find(name + "attn_q_norm.weight") || file_.find(name + "attn_norm_2.weight")) {
      return invalid(file_, "a BERT with norms of queries and keys is not supported");
    }
    if (file_.find(name + "attn_qkv.weight")) {
      PAYONCE_CHECK_OK(matrix(out.qkv, name + "attn_qkv.weight", width, 3 * width));
      PAYONCE_CHECK_OK(optional_vector(out.qkv_bias, name + "attn_qkv.bias", 3 * width));
    } else {
      PAYONCE_CHECK_OK(matrix(out.q, name + "attn_q.weight", width, width));
      PAYONCE_CHECK_OK(matrix(out.k, name + "attn_k.weight", width, width));
      PAYONCE_CHECK_OK(matrix(out.v, name + "attn_v.weight", width, width));
      PAYONCE_CHECK_OK(optional_vector(out.q_bias, name + "attn_q.bias", width));
      PAYONCE_CHECK_OK(optional_vector(out.k_bias, name + "attn_k.bias", width));
      PAYONCE_CHECK_OK(optional_vector(out.v_bias, name + "attn_v.bias", width));
    }
    PAYONCE_CHECK_OK(matrix(out.out, name + "attn_output.weight", width, width));
    PAYONCE_CHECK_OK(optional_vector(out.out_bias, name + "attn_output.bias", width));
    PAYONCE_CHECK_OK(vector(out.out_norm, name + "attn_output_norm.weight", width));
    PAYONCE_CHECK_OK(vector(out.out_norm_bias, name + "attn_output_norm.bias", width));
    PAYONCE_CHECK_OK(matrix(out.up, name + "ffn_up.weight", width, ffn));
    PAYONCE_CHECK_OK(optional_vector(out.up_bias, name + "ffn_up.bias", ffn));
    PAYONCE_CHECK_OK(matrix(out.down, name + "ffn_down.weight", ffn, width));
    PAYONCE_CHECK_OK(optional_vector(out.down_bias, name + "ffn_down.bias", width));
    PAYONCE_CHECK_OK(vector(out.layer_norm, name + "layer_output_norm.weight", width));
    return vector(out.layer_norm_bias, name + "layer_output_norm.bias", width);
  }

  base::Status vector(const GgufFile::Tensor*& out, const std::string& name, int64_t width) {
    return matrix(out, name, width, 1);
  }
  base::Status optional_vector(const GgufFile::Tensor*& out, const std::string& name, int64_t width) {
    return file_.find(name) ? vector(out, name, width) : base::Status{};
  }

  base::Status matrix(const GgufFile::Tensor*& out, const std::string& name, int64_t inputs, int64_t outputs) {
    out = file_.find(name);
    if (!out) return invalid(file_, fmt::format("tensor '{}' is missing", name));
    const int64_t* shape = out->shape;
    if (shape[0] != inputs || shape[1] != outputs || shape[2] != 1 || shape[3] != 1) {
      return invalid(file_, fmt::format("tensor '{}' is [{}, {}], expected [{}, {}]", name, shape[0], shape[1],
                                        inputs, outputs));
    }
    if (!out->has_floats()) {
      return invalid(file_, fmt::format("tensor '{}' has type {}, which cannot be read as numbers", name,
                                        ggml_type_name(out->type)));
    }
    return {};
  }

  BertFile& out_;
  const GgufFile& file_;
};

}  // namespace

base::Result<BertFile> BertFile::open(const std::string& path) {
  BertFile out;
  PAYONCE_TRY(out.file, GgufFile::open(path));
  PAYONCE_CHECK_OK(Reader(out).read());
  return out;
}

}  // namespace payonce::embed
