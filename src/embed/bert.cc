#include "embed/bert.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/assert.h"
#include "embed/vector.h"

namespace payonce::embed {

namespace {

using Tensor = engine::GgufFile::Tensor;

constexpr size_t kAlignment_bytes = 64;
// Rows that go through a matrix together: what is computed of them stays in the second-level cache.
constexpr int kBlockRows = 112;

}  // namespace

template <class Number>
Aligned<Number>::Aligned(size_t count)
    : data_(static_cast<Number*>(::operator new(count * sizeof(Number), std::align_val_t{kAlignment_bytes}))),
      size_(count) {}
template <class Number>
void Aligned<Number>::Free::operator()(Number* data) const {
  ::operator delete(data, std::align_val_t{kAlignment_bytes});
}
template class Aligned<float>;
template class Aligned<int16_t>;

PackedMatrix Bert::Matrix::packed() const {
  return {
      .inputs = inputs, .outputs = outputs, .numbers = numbers.data(), .scales = scales.data(), .bias = bias.data()};
}

// Reads tensors as numbers and packs them.
class Bert::Loader {
 public:
  explicit Loader(Bert& out) : out_(out), shape_(out.file_.shape) {}

  base::Status load() {
    const BertFile& file = out_.file_;
    PAYONCE_CHECK_OK(positions());
    PAYONCE_CHECK_OK(norm(out_.norm_, file.norm, file.norm_bias));
    for (const BertLayer& from : file.layers) {
      Layer& layer = out_.layers_.emplace_back();
      if (from.qkv) {
        PAYONCE_CHECK_OK(matrix(layer.qkv, {{from.qkv, from.qkv_bias}}));
      } else {
        PAYONCE_CHECK_OK(matrix(layer.qkv, {{from.q, from.q_bias}, {from.k, from.k_bias}, {from.v, from.v_bias}}));
      }
      PAYONCE_CHECK_OK(matrix(layer.out, {{from.out, from.out_bias}}));
      PAYONCE_CHECK_OK(matrix(layer.up, {{from.up, from.up_bias}}));
      PAYONCE_CHECK_OK(matrix(layer.down, {{from.down, from.down_bias}}));
      PAYONCE_CHECK_OK(norm(layer.out_norm, from.out_norm, from.out_norm_bias));
      PAYONCE_CHECK_OK(norm(layer.layer_norm, from.layer_norm, from.layer_norm_bias));
    }
    file.file->release_pages();
    return {};
  }

 private:
  struct Part {
    const Tensor* weights;
    const Tensor* bias;
  };

  base::Status row(const Tensor& tensor, int64_t index, float* out) const {
    tensor.read_row(index, out);
    if (std::all_of(out, out + tensor.shape[0], [](float x) { return std::isfinite(x); })) return {};
    return base::fail(base::Code::kInvalid, fmt::format("{}: tensor '{}' holds a value that is no number (row {})",
                                                        out_.file_.file->path(), tensor.name, index));
  }

  base::Status positions() {
    const auto width = static_cast<size_t>(shape_.width), rows = static_cast<size_t>(shape_.max_tokens);
    out_.positions_ = Aligned<float>(rows * width);
    std::vector<float> type(width, 0.0F);
    if (out_.file_.types) PAYONCE_CHECK_OK(row(*out_.file_.types, 0, type.data()));
    for (size_t i = 0; i < rows; ++i) {
      float* const to = out_.positions_.data() + i * width;
      PAYONCE_CHECK_OK(row(*out_.file_.positions, static_cast<int64_t>(i), to));
      for (size_t d = 0; d < width; ++d) to[d] += type[d];
    }
    return {};
  }

  base::Status norm(Norm& out, const Tensor* gain, const Tensor* shift) const {
    out.gain = Aligned<float>(static_cast<size_t>(shape_.width));
    out.shift = Aligned<float>(static_cast<size_t>(shape_.width));
    PAYONCE_CHECK_OK(row(*gain, 0, out.gain.data()));
    return row(*shift, 0, out.shift.data());
  }

  // The parts' outputs one after the other.
  base::Status matrix(Matrix& out, std::initializer_list<Part> parts) {
    out.inputs = static_cast<int32_t>(parts.begin()->weights->shape[0]);
    for (const Part& part : parts) out.outputs += static_cast<int32_t>(part.weights->shape[1]);
    out.numbers = Aligned<int16_t>(static_cast<size_t>(out.inputs) * static_cast<size_t>(out.outputs));
    out.scales = Aligned<float>(static_cast<size_t>(out.outputs));
    out.bias = Aligned<float>(static_cast<size_t>(out.outputs));
    floats_.grow(static_cast<size_t>(out.inputs));
    integers_.grow(static_cast<size_t>(out.inputs));
    int32_t output = 0;
    for (const Part& part : parts) {
      const auto outputs = static_cast<int32_t>(part.weights->shape[1]);
      float* const bias = out.bias.data() + output;
      std::fill_n(bias, outputs, 0.0F);
      if (part.bias) PAYONCE_CHECK_OK(row(*part.bias, 0, bias));
      for (int32_t i = 0; i < outputs; ++i, ++output) {
        PAYONCE_CHECK_OK(row(*part.weights, i, floats_.data()));
        out_.kernels_.quantize(floats_.data(), 1, out.inputs, integers_.data(), out.scales.data() + output);
        pack(out, output);
      }
    }
    return {};
  }

  void pack(Matrix& out, int32_t output) const {
    const int32_t lanes = out_.kernels_.lanes;
    int16_t* to = out.numbers.data() + int64_t{output / lanes} * lanes * out.inputs + int64_t{output % lanes} * 2;
    for (int32_t i = 0; i < out.inputs; i += 2, to += int64_t{lanes} * 2) {
      to[0] = integers_.data()[i];
      to[1] = integers_.data()[i + 1];
    }
  }

  Bert& out_;
  const BertShape& shape_;
  Aligned<float> floats_;
  Aligned<int16_t> integers_;
};

base::Result<std::unique_ptr<Bert>> Bert::load(BertFile file, const Kernels& kernels) {
  std::unique_ptr<Bert> out(new Bert(std::move(file), kernels));
  PAYONCE_CHECK_OK(Loader(*out).load());
  return out;
}

void Bert::look_up(std::span<const int32_t> ids, float* rows) const {
  const auto width = static_cast<size_t>(shape().width);
  const float* position = positions_.data();
  for (const int32_t id : ids) {
    PAYONCE_ASSERT(id >= 0 && id < shape().vocab);
    file_.tokens->read_row(id, rows);
    for (size_t d = 0; d < width; ++d) rows[d] += position[d];
    rows += width;
    position += width;
  }
}

void Bert::multiply(const Matrix& matrix, const float* in, int rows, Workspace& workspace, float* out) const {
  kernels_.quantize(in, rows, matrix.inputs, workspace.integers.data(), workspace.scales.data());
  kernels_.multiply(matrix.packed(), workspace.integers.data(), workspace.scales.data(), rows, out);
}

void Bert::attend(const Layer& layer, std::span<const std::vector<int32_t>> texts, int total,
                  Workspace& workspace) const {
  const int width = shape().width;
  for (int row = 0; row < total; row += kBlockRows) {
    multiply(layer.qkv, workspace.rows.data() + int64_t{row} * width, std::min(kBlockRows, total - row), workspace,
             workspace.qkv.data() + int64_t{row} * 3 * width);
  }
  AttentionJob job{.heads = shape().heads,
                   .head_dim = shape().head_dim,
                   .scale = 1 / std::sqrt(static_cast<float>(shape().head_dim)),
                   .qkv = workspace.qkv.data(),
                   .stride = 3 * width,
                   .out = workspace.mixed.data(),
                   .scratch = workspace.scratch.data()};
  for (const std::vector<int32_t>& text : texts) {
    job.rows = static_cast<int>(text.size());
    kernels_.attend(job);
    job.qkv += int64_t{job.rows} * job.stride;
    job.out += int64_t{job.rows} * width;
  }
}

void Bert::feed_forward(const Layer& layer, int total, Workspace& workspace) const {
  const int width = shape().width;
  const auto norm = [&](const Norm& by, float* x, int rows) {
    kernels_.norm(x, workspace.added.data(), rows, width, shape().norm_epsilon, by.gain.data(), by.shift.data());
  };
  for (int row = 0; row < total; row += kBlockRows) {
    const int rows = std::min(kBlockRows, total - row);
    float* const x = workspace.rows.data() + int64_t{row} * width;
    multiply(layer.out, workspace.mixed.data() + int64_t{row} * width, rows, workspace, workspace.added.data());
    norm(layer.out_norm, x, rows);
    multiply(layer.up, x, rows, workspace, workspace.hidden.data());
    kernels_.gelu(workspace.hidden.data(), int64_t{rows} * shape().ffn_width);
    multiply(layer.down, workspace.hidden.data(), rows, workspace, workspace.added.data());
    norm(layer.layer_norm, x, rows);
  }
}

std::vector<Bert::Rows> Bert::encode(std::span<const std::vector<int32_t>> texts, Workspace& workspace) const {
  const auto width = static_cast<size_t>(shape().width), ffn = static_cast<size_t>(shape().ffn_width);
  if (texts.empty()) return {};
  size_t total = 0, longest = 0;
  for (const std::vector<int32_t>& text : texts) {
    PAYONCE_ASSERT(!text.empty() && text.size() <= static_cast<size_t>(shape().max_tokens));
    total += text.size();
    longest = std::max(longest, text.size());
  }
  const size_t block = std::min<size_t>(total, kBlockRows);
  workspace.rows.grow(total * width);
  workspace.qkv.grow(total * width * 3);
  workspace.mixed.grow(total * width);
  workspace.hidden.grow(block * ffn);
  workspace.added.grow(block * width);
  workspace.scales.grow(block);
  workspace.integers.grow(block * std::max(width, ffn));
  workspace.scratch.grow(static_cast<size_t>(attention_scratch_floats(static_cast<int>(longest), shape().head_dim)));

  std::vector<Rows> out;
  float* row = workspace.rows.data();
  for (const std::vector<int32_t>& text : texts) {
    look_up(text, row);
    out.emplace_back(row, text.size() * width);
    row += text.size() * width;
  }
  const auto rows = static_cast<int>(total);
  kernels_.norm(workspace.rows.data(), nullptr, rows, shape().width, shape().norm_epsilon, norm_.gain.data(),
                norm_.shift.data());
  for (const Layer& layer : layers_) {
    attend(layer, texts, rows, workspace);
    feed_forward(layer, rows, workspace);
  }
  return out;
}

base::Result<std::vector<float>> Bert::pool(Rows rows) const {
  const auto width = static_cast<size_t>(shape().width);
  std::vector<float> out(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(width));
  if (shape().pooling == Pooling::kMean) {
    for (size_t i = width; i < rows.size(); ++i) out[i % width] += rows[i];
  }
  PAYONCE_CHECK_OK(normalize(out));
  return out;
}

}  // namespace payonce::embed
