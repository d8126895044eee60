// For tests only: sequences over a pool of scattered pages, and attention in float64 by the book.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "engine/ops/attention.h"
#include "engine/ops/attention_kernels.h"
#include "engine/ops/attention_plan.h"
#include "engine/ops/half.h"

namespace payonce::engine {

struct AttentionSequence {
  std::vector<int32_t> blocks;
  int32_t tokens = 0;  // with those of the rows, which are the last ones
  int32_t rows = 1;
};

class Scene {
 public:
  struct Options {
    int q_heads = 4, kv_heads = 2, head_dim = 64;
    KvType type = KvType::kF16;
    int window = 0;
    int pool_blocks = 512;
    uint64_t seed = 1;
    float key_scale = 1;  // small: near-flat attention
  };
  explicit Scene(const Options& options) : options_(options), random_(options.seed) {
    shape.q_heads = options.q_heads;
    shape.page = {options.kv_heads, options.head_dim, options.type};
    shape.scale = 1 / std::sqrt(static_cast<float>(options.head_dim));
    shape.window = options.window;
    pool.assign(page_bytes(shape.page) * static_cast<size_t>(options.pool_blocks), std::byte{0});
    free_.resize(static_cast<size_t>(options.pool_blocks));
    std::iota(free_.begin(), free_.end(), 0);
    std::shuffle(free_.begin(), free_.end(), random_);
  }

  // Whole blocks of the first `shared` tokens are those of sequence `with`.
  size_t add(int32_t tokens, int32_t rows = 1, size_t with = 0, int32_t shared = 0) {
    AttentionSequence sequence{{}, tokens, rows};
    const int32_t reused = shared / kPageTokens;
    if (reused > 0) sequence.blocks.assign(sequences[with].blocks.begin(), sequences[with].blocks.begin() + reused);
    for (int32_t token = reused * kPageTokens; token < tokens; ++token) {
      if (token % kPageTokens == 0) {
        sequence.blocks.push_back(free_.front());
        free_.pop_front();
      }
      const auto keys = numbers(row_floats(shape.page.kv_heads), options_.key_scale);
      const auto values = numbers(row_floats(shape.page.kv_heads), 1);
      store_token(shape.page, page(sequence.blocks.back()), token % kPageTokens, keys.data(), values.data());
    }
    const auto more = numbers(static_cast<size_t>(rows) * row_floats(shape.q_heads), 1);
    queries.insert(queries.end(), more.begin(), more.end());
    sequences.push_back(std::move(sequence));
    return sequences.size() - 1;
  }

  // Blocks that no row can see are taken away, as the sliding pool does it.
  void drop_dead_blocks() {
    for (AttentionSequence& sequence : sequences) {
      const int32_t first = std::max(0, sequence.tokens - sequence.rows - shape.window + 1);
      for (int32_t i = 0; i < first / kPageTokens; ++i) sequence.blocks[static_cast<size_t>(i)] = kNoBlock;
    }
  }

  std::vector<SequenceRows> batch() const {
    std::vector<SequenceRows> result;
    int32_t row = 0;
    for (const AttentionSequence& sequence : sequences) {
      result.push_back({row, sequence.rows, sequence.tokens - sequence.rows, sequence.blocks});
      row += sequence.rows;
    }
    return result;
  }

  // Numbers of a result that no kernel wrote stay NaN.
  std::vector<float> run(const std::string& isa = "", int threads = 1) const { return run(batch(), isa, threads); }
  std::vector<float> run(const std::vector<SequenceRows>& rows, const std::string& isa = "", int threads = 1) const {
    const AttentionKernels& kernels = isa.empty() ? attention_kernels() : *attention_kernels(isa.c_str());
    const auto plan = make_attention_plan(shape, rows, threads, kernels);
    std::vector<float> out;
    for (int layer = 0; layer < 2; ++layer) {  // a plan serves every layer
      out.assign(queries.size(), std::numeric_limits<float>::quiet_NaN());
      for (const int part : {0, 1}) {
        std::vector<std::thread> workers;
        for (int thread = 1; thread < threads; ++thread) {
          workers.emplace_back(
              [&, thread] { plan->run_part(part, pool.data(), queries.data(), out.data(), thread); });
        }
        plan->run_part(part, pool.data(), queries.data(), out.data(), 0);
        for (std::thread& worker : workers) worker.join();
      }
    }
    return out;
  }

  // ---- the reference -------------------------------------------------------------------------------

  double number(int32_t block, int kv_head, bool values, int token, int d) const {
    const auto head_dim = static_cast<size_t>(shape.page.head_dim);
    const std::byte* tile = pool.data() + page_bytes(shape.page) * static_cast<size_t>(block) +
                            tile_bytes(shape.page) * static_cast<size_t>(kv_head * 2 + (values ? 1 : 0));
    const auto t = static_cast<size_t>(token), i = static_cast<size_t>(d);
    const size_t at = values ? t * head_dim + i : i * kPageTokens + t;
    if (shape.page.type == KvType::kF16) return half(tile + at * 2);
    const size_t scale = values ? t * (head_dim / 32) + i / 32 : i / 32 * kPageTokens + t;
    return half(tile + head_dim * kPageTokens + scale * 2) * static_cast<int8_t>(tile[at]);
  }

  std::vector<double> reference() const {
    std::vector<double> out;
    size_t row = 0;
    for (const AttentionSequence& sequence : sequences) {
      for (int32_t i = 0; i < sequence.rows; ++i, ++row) {
        for (int head = 0; head < shape.q_heads; ++head) {
          const auto one = attend(
              sequence, sequence.tokens - sequence.rows + i, head,
              queries.data() + row * row_floats(shape.q_heads) + static_cast<size_t>(head * shape.page.head_dim));
          out.insert(out.end(), one.begin(), one.end());
        }
      }
    }
    return out;
  }

  std::byte* page(int32_t block) { return pool.data() + page_bytes(shape.page) * static_cast<size_t>(block); }
  size_t row_floats(int heads) const { return static_cast<size_t>(heads * shape.page.head_dim); }
  std::vector<float> numbers(size_t count, float scale) {
    std::normal_distribution<float> normal(0, scale);
    std::vector<float> result(count);
    for (float& number : result) number = normal(random_);
    return result;
  }

  AttentionShape shape;
  std::vector<std::byte> pool;
  std::vector<AttentionSequence> sequences;
  std::vector<float> queries;

 private:
  static double half(const std::byte* from) {
    uint16_t bits = 0;
    std::memcpy(&bits, from, sizeof bits);
    return half_to_float(bits);
  }

  std::vector<double> attend(const AttentionSequence& sequence, int32_t position, int head,
                             const float* query) const {
    const int kv_head = head / (shape.q_heads / shape.page.kv_heads);
    const int32_t first = shape.window == 0 ? 0 : std::max(0, position - shape.window + 1);
    std::vector<double> scores;
    for (int32_t t = first; t <= position; ++t) {
      const int32_t block = sequence.blocks[static_cast<size_t>(t / kPageTokens)];
      double score = 0;
      for (int d = 0; d < shape.page.head_dim; ++d) {
        score += double{query[d]} * number(block, kv_head, false, t % kPageTokens, d);
      }
      scores.push_back(score * double{shape.scale});
    }
    const double max = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    for (double& score : scores) sum += score = std::exp(score - max);
    std::vector<double> out(static_cast<size_t>(shape.page.head_dim));
    for (int32_t t = first; t <= position; ++t) {
      const int32_t block = sequence.blocks[static_cast<size_t>(t / kPageTokens)];
      for (int d = 0; d < shape.page.head_dim; ++d) {
        out[static_cast<size_t>(d)] +=
            scores[static_cast<size_t>(t - first)] / sum * number(block, kv_head, true, t % kPageTokens, d);
      }
    }
    return out;
  }

  Options options_;
  std::mt19937_64 random_;
  std::deque<int32_t> free_;
};

}  // namespace payonce::engine
