// A BERT encoder on the CPU: tokens of several texts to their vectors, in one pass over the weights.
//
// The texts' rows stand one after the other without padding, and each attends to its own rows alone, so a batch costs
// what its tokens cost. A text's vectors are the same bits alone and beside any other (kernels.h says why).
// Weights of any type of GGUF are read once and kept as 16-bit integers.
// Threads: load() any; encode() any, each with a Workspace of its own.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "base/result.h"
#include "embed/bert_file.h"
#include "embed/kernels.h"

namespace payonce::embed {

// Memory aligned to 64 bytes, not set.
template <class Number>
class Aligned {
 public:
  Aligned() = default;
  explicit Aligned(size_t count);
  Number* data() const { return data_.get(); }
  size_t size() const { return size_; }
  void grow(size_t count) {
    if (count > size_) *this = Aligned(count);
  }

 private:
  struct Free {
    void operator()(Number* data) const;
  };
  std::unique_ptr<Number[], Free> data_;
  size_t size_ = 0;
};

class Bert {
 public:
  // The rows of one text after the last layer: [tokens][width], with [CLS] and [SEP]. Valid until the workspace's
  // next use.
  using Rows = std::span<const float>;
  class Workspace {
   private:
    friend class Bert;
    Aligned<float> rows, qkv, mixed;                // of all texts
    Aligned<float> hidden, added, scales, scratch;  // of some rows at a time
    Aligned<int16_t> integers;
  };

  // Reads all weights but the words', which are looked up in the mapped file. kInvalid: a number that is none.
  static base::Result<std::unique_ptr<Bert>> load(BertFile file, const Kernels& kernels = best_kernels());

  const BertShape& shape() const { return file_.shape; }
  // `texts`: ids below shape().vocab, at most shape().max_tokens of each, none empty.
  std::vector<Rows> encode(std::span<const std::vector<int32_t>> texts, Workspace& workspace) const;
  // The vector of a text, of length 1. kInternal: the weights led to a number that is none.
  base::Result<std::vector<float>> pool(Rows rows) const;

 private:
  struct Matrix {
    int32_t inputs = 0, outputs = 0;
    Aligned<int16_t> numbers;
    Aligned<float> scales, bias;
    PackedMatrix packed() const;
  };
  struct Norm {
    Aligned<float> gain, shift;
  };
  struct Layer {
    Matrix qkv, out, up, down;
    Norm out_norm, layer_norm;
  };
  class Loader;

  Bert(BertFile file, const Kernels& kernels) : file_(std::move(file)), kernels_(kernels) {}
  void look_up(std::span<const int32_t> ids, float* rows) const;
  void multiply(const Matrix& matrix, const float* in, int rows, Workspace& workspace, float* out) const;
  void attend(const Layer& layer, std::span<const std::vector<int32_t>> texts, int total, Workspace& workspace) const;
  void feed_forward(const Layer& layer, int total, Workspace& workspace) const;

  BertFile file_;
  const Kernels& kernels_;
  Aligned<float> positions_;  // [max_tokens][width], with the type of a first text added
  Norm norm_;
  std::vector<Layer> layers_;
};

}  // namespace payonce::embed
