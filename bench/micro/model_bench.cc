// A step of our engine's model beside llama.cpp's own llama_decode: same file, same threads, same program, in turn.
// Milliseconds, median of the runs; ratio below 1: ours is quicker.
//
//   model_bench MODEL.gguf [THREADS]
#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <vector>

#include "engine/model/library_log.h"
#include "engine/model/model.h"

namespace payonce::bench {
namespace {

using engine::Batch;
using engine::Model;

constexpr int32_t kBlocks = 2048;
constexpr int32_t kBlocksEach = 64;
constexpr int32_t kStreams = 16;
constexpr int32_t kPrompt = 512;
constexpr int kRuns = 40;

double time_ms(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

int32_t token_at(int32_t stream, int32_t position) { return 100 + (stream * 131 + position * 17) % 5000; }

class Ours {
 public:
  Ours(const char* file, int threads, engine::Exactness exactness) {
    auto model = Model::load(
        file, {.threads = threads, .full_blocks = kBlocks, .sliding_blocks = kBlocks, .exactness = exactness});
    if (!model) {
      fmt::print(stderr, "{}\n", model.error().message);
      std::exit(1);
    }
    model_ = std::move(*model);
    for (int32_t i = 0; i < kStreams; ++i) {
      for (int32_t j = 0; j < kBlocksEach; ++j) tables_[i].push_back((i * kBlocksEach + j) * 31 % kBlocks);
    }
  }

  // `rows` tokens of each stream from `position` on; logits of each last one.
  void step(int32_t streams, int32_t rows, int32_t position) {
    Batch batch;
    for (int32_t i = 0; i < streams; ++i) {
      batch.full.push_back({i * rows, rows, position, tables_[i]});
      for (int32_t j = 0; j < rows; ++j) batch.tokens.push_back(token_at(i, position + j));
      batch.output_rows.push_back((i + 1) * rows - 1);
    }
    if (model_->info().window) batch.sliding = batch.full;
    if (!model_->compute(batch)) std::exit(1);
  }
  const engine::ModelInfo& info() const { return model_->info(); }
  bool exact() const { return model_->exact(); }

 private:
  std::unique_ptr<Model> model_;
  std::vector<int32_t> tables_[kStreams];
};

// With a thread pool of its own, as llama-server has.
class Theirs {
 public:
  Theirs(const char* file, int threads) {
    model_ = llama_model_load_from_file(file, llama_model_default_params());
    llama_context_params params = llama_context_default_params();
    params.n_ctx = kStreams * kBlocksEach * 16;
    params.n_seq_max = kStreams;
    params.n_batch = 2048;
    params.n_threads = params.n_threads_batch = threads;
    params.kv_unified = true;
    context_ = llama_init_from_model(model_, params);
    ggml_threadpool_params pool = ggml_threadpool_params_default(threads);
    pool.poll = 1;  // as ours: both wait in one process
    auto* registry = ggml_backend_dev_backend_reg(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
    const auto make = reinterpret_cast<ggml_threadpool* (*)(ggml_threadpool_params*)>(
        ggml_backend_reg_get_proc_address(registry, "ggml_threadpool_new"));
    llama_attach_threadpool(context_, make(&pool), nullptr);
  }

  void step(int32_t streams, int32_t rows, int32_t position) {
    llama_batch batch = llama_batch_init(streams * rows, 0, 1);
    for (int32_t i = 0; i < streams; ++i) {
      llama_memory_seq_rm(llama_get_memory(context_), i, position, -1);
      for (int32_t j = 0; j < rows; ++j) {
        const int32_t at = batch.n_tokens++;
        batch.token[at] = token_at(i, position + j);
        batch.pos[at] = position + j;
        batch.n_seq_id[at] = 1;
        batch.seq_id[at][0] = i;
        batch.logits[at] = j + 1 == rows;
      }
    }
    if (llama_decode(context_, batch)) std::exit(1);
    (void)llama_get_logits_ith(context_, -1);
    llama_batch_free(batch);
  }

 private:
  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// Steps of both in turn, one after the other, so that what else the machine does hits both.
void compare(const char* name, Ours& ours, Theirs& theirs, int32_t streams, int32_t rows, int32_t position,
             int runs) {
  std::vector<double> a, b;
  for (int i = 0; i < runs; ++i) {
    const int32_t at = rows == 1 ? position + i : position;
    a.push_back(time_ms([&] { ours.step(streams, rows, at); }));
    b.push_back(time_ms([&] { theirs.step(streams, rows, at); }));
  }
  fmt::print("{:<28} ours {:8.2f}  llama_decode {:8.2f}  ratio {:.2f}\n", name, median(a), median(b),
             median(a) / median(b));
}

int run(const char* file, int threads) {
  engine::quiet_libraries();
  for (const auto exactness : {engine::Exactness::kWhereFree, engine::Exactness::kAlways}) {
    Ours ours(file, threads, exactness);
    if (exactness == engine::Exactness::kAlways && Ours(file, threads, engine::Exactness::kWhereFree).exact()) break;
    Theirs theirs(file, threads);
    fmt::print("{}, {} threads, results {}\n", ours.info().name, threads,
               ours.exact() ? "do not depend on the batch" : "depend on the batch");
    compare("prefill of 512 tokens", ours, theirs, 1, kPrompt, 0, 5);
    compare("decode, one stream at 512", ours, theirs, 1, 1, kPrompt, kRuns);
    for (int32_t i = 0; i < 256; i += 32) {
      ours.step(kStreams, 32, i);
      theirs.step(kStreams, 32, i);
    }
    compare("decode, 16 streams at 256", ours, theirs, kStreams, 1, 256, kRuns / 2);
  }
  return 0;
}

}  // namespace
}  // namespace payonce::bench

int main(int count, char** arguments) {
  if (count < 2) {
    fmt::print(stderr, "usage: model_bench MODEL.gguf [THREADS]\n");
    return 2;
  }
  return payonce::bench::run(arguments[1], count > 2 ? std::atoi(arguments[2]) : 2);
}
