// The embedder beside llama.cpp's own: same file, one thread, same program, in turn. Milliseconds of the thread's CPU
// time and of the clock, median of the runs; ratio below 1: ours is quicker. Tokens are given to both, so that no
// tokenizer is in it. Each finds its weights pushed out of the caches by the other, as a rare question does; a last
// line times ours from text, queue and thread included.
//
//   embed_bench EMBEDDER.gguf
#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <future>
#include <string>
#include <vector>

#include "embed/bert.h"
#include "embed/local_embedder.h"
#include "engine/model/library_log.h"

namespace payonce::bench {
namespace {

constexpr int kRuns = 61;
constexpr int kBatchRuns = 7;
constexpr int32_t kMaxTokens = 4096;

struct Time {
  double cpu_ms = 0, wall_ms = 0;
};

Time time_of(const std::function<void()>& work) {
  const auto cpu = [] {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
  };
  const auto start = std::chrono::steady_clock::now();
  const double cpu_start = cpu();
  work();
  return {cpu() - cpu_start,
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count()};
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

// `tokens` between [CLS] and [SEP].
std::vector<int32_t> text_of(int32_t tokens, int32_t seed) {
  std::vector<int32_t> out = {101};
  for (int32_t i = 0; i < tokens; ++i) out.push_back(2000 + (i * 37 + seed * 101) % 8000);
  out.push_back(102);
  return out;
}

using Texts = std::vector<std::vector<int32_t>>;

class Ours {
 public:
  explicit Ours(const char* file) {
    auto opened = embed::BertFile::open(file);
    auto loaded = opened ? embed::Bert::load(*std::move(opened)) : base::fail(opened.error());
    if (!loaded) {
      fmt::print(stderr, "{}\n", loaded.error().message);
      std::exit(1);
    }
    bert_ = *std::move(loaded);
  }
  std::vector<float> first_of(const Texts& texts) {
    std::vector<float> first;
    for (const auto& rows : bert_->encode(texts, workspace_)) {
      auto vector = bert_->pool(rows);
      if (!vector) std::exit(1);
      if (first.empty()) first = *std::move(vector);
    }
    return first;
  }

 private:
  std::unique_ptr<embed::Bert> bert_;
  embed::Bert::Workspace workspace_;
};

class Theirs {
 public:
  explicit Theirs(const char* file) {
    model_ = llama_model_load_from_file(file, llama_model_default_params());
    llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = kMaxTokens;
    params.n_seq_max = 64;
    params.n_threads = params.n_threads_batch = 1;
    params.embeddings = true;
    context_ = model_ ? llama_init_from_model(model_, params) : nullptr;
    if (!context_) std::exit(1);
  }
  ~Theirs() {
    llama_free(context_);
    llama_model_free(model_);
  }
  Theirs(const Theirs&) = delete;
  Theirs& operator=(const Theirs&) = delete;

  std::vector<float> first_of(const Texts& texts) {
    llama_batch batch = llama_batch_init(kMaxTokens, 0, 1);
    for (size_t i = 0; i < texts.size(); ++i) {
      for (size_t j = 0; j < texts[i].size(); ++j) {
        const int32_t at = batch.n_tokens++;
        batch.token[at] = texts[i][j];
        batch.pos[at] = static_cast<int32_t>(j);
        batch.n_seq_id[at] = 1;
        batch.seq_id[at][0] = static_cast<int32_t>(i);
        batch.logits[at] = 1;
      }
    }
    if (llama_encode(context_, batch)) std::exit(1);
    const float* pooled = llama_get_embeddings_seq(context_, 0);
    std::vector<float> out(pooled, pooled + llama_model_n_embd(model_));
    float squares = 0;
    for (const float each : out) squares += each * each;
    for (float& each : out) each /= std::sqrt(squares);
    llama_batch_free(batch);
    return out;
  }

 private:
  llama_model* model_ = nullptr;
  llama_context* context_ = nullptr;
};

void compare(const std::string& name, Ours& ours, Theirs& theirs, const Texts& texts) {
  const int runs = texts.size() == 1 ? kRuns : kBatchRuns;
  std::vector<double> cpu[2], wall[2];
  std::vector<float> vector[2];
  for (int i = 0; i < runs; ++i) {
    const Time a = time_of([&] { vector[0] = ours.first_of(texts); });
    const Time b = time_of([&] { vector[1] = theirs.first_of(texts); });
    cpu[0].push_back(a.cpu_ms), cpu[1].push_back(b.cpu_ms);
    wall[0].push_back(a.wall_ms), wall[1].push_back(b.wall_ms);
  }
  float apart = 0;
  for (size_t i = 0; i < vector[0].size(); ++i) apart = std::max(apart, std::fabs(vector[0][i] - vector[1][i]));
  fmt::print(
      "{:<22} ours {:7.2f} cpu {:7.2f} wall {:7.0f} texts/s   llama_encode {:7.2f} cpu {:7.2f} wall   ratio "
      "{:.2f}   apart {:.1e}\n",
      name, median(cpu[0]), median(wall[0]), static_cast<double>(texts.size()) / median(cpu[0]) * 1e3, median(cpu[1]),
      median(wall[1]), median(cpu[0]) / median(cpu[1]), apart);
}

void from_text(const char* file) {
  auto embedder = embed::LocalEmbedder::make({.file = file});
  if (!embedder) std::exit(1);
  std::vector<double> wall;
  for (int i = 0; i < kRuns; ++i) {
    wall.push_back(time_of([&] {
                     std::promise<void> done;
                     const auto taken = (*embedder)->embed("how do i change the password of my account again",
                                                           [&](const auto&) { done.set_value(); });
                     if (!taken) std::exit(1);
                     done.get_future().wait();
                   }).wall_ms);
  }
  std::sort(wall.begin(), wall.end());
  fmt::print("text of 10 words to vector, by the queue: best {:.2f}, median {:.2f} ms wall\n", wall.front(),
             median(wall));
}

int run(const char* file) {
  engine::quiet_libraries();
  Ours ours(file);
  Theirs theirs(file);
  fmt::print("kernels: {}\n", embed::best_kernels().isa);
  for (const int32_t tokens : {12, 64, 254}) {
    compare(fmt::format("{} tokens", tokens), ours, theirs, {text_of(tokens, 1)});
  }
  for (const int32_t tokens : {12, 62}) {
    Texts texts;
    for (int32_t i = 0; i < 32; ++i) texts.push_back(text_of(tokens, i));
    compare(fmt::format("32 texts of {} tokens", tokens), ours, theirs, texts);
  }
  from_text(file);
  return 0;
}

}  // namespace
}  // namespace payonce::bench

int main(int count, char** arguments) {
  if (count != 2) {
    fmt::print(stderr, "usage: embed_bench EMBEDDER.gguf\n");
    return 2;
  }
  return payonce::bench::run(arguments[1]);
}
