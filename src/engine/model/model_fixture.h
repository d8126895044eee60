// A model with sequences that grow in it, and llama.cpp on the same file. For tests only.
#pragma once

#include <gtest/gtest.h>
#include <llama.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/scratch_file.h"
#include "engine/model/model.h"
#include "engine/model/random_model.h"
#include "engine/model/test_models.h"

namespace payonce::engine {

using Logits = std::vector<float>;

using base::ScratchFile;

inline std::unique_ptr<Model> load_model(const std::string& file, ModelOptions options = {}) {
  if (!options.threads) options.threads = 1;  // tests share cores; waiting for another thread's turn is slow
  if (!options.full_blocks) options.full_blocks = 256;
  if (!options.sliding_blocks) options.sliding_blocks = 256;
  auto model = Model::load(file, options);
  EXPECT_TRUE(model.has_value()) << model.error().message;
  return model ? std::move(*model) : nullptr;
}

// A sequence whose blocks are `stride` apart, so that neighbours in the sequence are none in the pool.
struct TestSequence {
  std::vector<int32_t> tokens;
  std::vector<int32_t> full, sliding;
  int32_t computed = 0;

  TestSequence(std::vector<int32_t> prompt, int32_t first_block, int32_t blocks, int32_t stride = 1)
      : tokens(std::move(prompt)) {
    for (int32_t i = 0; i < blocks; ++i) full.push_back(first_block + i * stride);
    sliding = full;
  }
};

class Stepper {
 public:
  explicit Stepper(Model& model) : model_(model) {}

  // Adds the next `rows` tokens of a sequence to the step; logits are wanted of the last `outputs` of them.
  void add(TestSequence& sequence, int32_t rows, int32_t outputs = 1) {
    const auto first = static_cast<int32_t>(batch_.tokens.size());
    const auto begin = sequence.tokens.begin() + sequence.computed;
    batch_.tokens.insert(batch_.tokens.end(), begin, begin + rows);
    batch_.full.push_back({first, rows, sequence.computed, sequence.full});
    if (model_.info().window) batch_.sliding.push_back({first, rows, sequence.computed, sequence.sliding});
    for (int32_t i = rows - outputs; i < rows; ++i) batch_.output_rows.push_back(first + i);
    sequence.computed += rows;
  }

  // One for each output row.
  std::vector<Logits> run() {
    auto result = model_.compute(batch_);
    batch_ = {};
    EXPECT_TRUE(result.has_value()) << result.error().message;
    std::vector<Logits> out;
    if (!result) return out;
    const auto vocab = static_cast<size_t>(model_.vocab_size());
    for (size_t i = 0; i < result->size(); i += vocab) {
      out.emplace_back(result->begin() + static_cast<ptrdiff_t>(i),
                       result->begin() + static_cast<ptrdiff_t>(i + vocab));
    }
    return out;
  }

  Logits run_one(TestSequence& sequence, int32_t rows) {
    add(sequence, rows);
    auto out = run();
    return out.empty() ? Logits() : out.front();
  }

 private:
  Model& model_;
  Batch batch_;
};

inline size_t best(const Logits& logits) {
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

inline float worst_difference(const Logits& a, const Logits& b) {
  float worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(a[i] - b[i]));
  return worst;
}

inline double mean_square_difference(const Logits& a, const Logits& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += static_cast<double>(a[i] - b[i]) * static_cast<double>(a[i] - b[i]);
  return sum / static_cast<double>(a.size());
}

// How far the runner-up is behind.
inline float lead(const Logits& logits) {
  Logits sorted = logits;
  std::nth_element(sorted.begin(), sorted.begin() + 1, sorted.end(), std::greater<>());
  return sorted[0] - sorted[1];
}

// llama.cpp's own engine, one sequence.
class LlamaRunner {
 public:
  explicit LlamaRunner(const std::string& file, int threads = 1,
                       llama_flash_attn_type flash = LLAMA_FLASH_ATTN_TYPE_AUTO) {
    model_ = llama_model_load_from_file(file.c_str(), llama_model_default_params());
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 2048;
    params.n_batch = 2048;
    params.n_threads = params.n_threads_batch = threads;
    params.flash_attn_type = flash;
    context_ = model_ ? llama_init_from_model(model_, params) : nullptr;
  }
  ~LlamaRunner() {
    llama_free(context_);
    llama_model_free(model_);
  }
  LlamaRunner(const LlamaRunner&) = delete;
  LlamaRunner& operator=(const LlamaRunner&) = delete;

  bool loaded() const { return context_ != nullptr; }
  void forget() { llama_memory_clear(llama_get_memory(context_), true); }
  // Feeds tokens; the logits of the last.
  Logits feed(std::vector<int32_t> tokens) {
    EXPECT_EQ(llama_decode(context_, llama_batch_get_one(tokens.data(), static_cast<int32_t>(tokens.size()))), 0);
    const float* logits = llama_get_logits_ith(context_, -1);
    return {logits, logits + llama_vocab_n_tokens(llama_model_get_vocab(model_))};
  }

 private:
  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
};

}  // namespace payonce::engine
