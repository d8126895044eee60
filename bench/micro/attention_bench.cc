// Attention over scattered pages beside ggml's flash attention over contiguous keys and values (F16, the layout of
// llama.cpp's cache), on the same numbers, in turns, by the same thread pool: both are nodes of a ggml graph.
//
//   attention_bench [--benchmark_…]      PAYONCE_BENCH_THREADS=N, by default 2
//
// Time is that of all layers of the model (or of as many as fit kMaxBytes; more than the caches in any case).
// Counters: paged_ms, ggml_ms and plan_us (the best of all runs), best (ratio of the first two), ratio (median of the
// ratios of neighbouring runs; below 1: paged is faster), differ (of the results; ggml sums values of one query in
// F16).
#include <benchmark/benchmark.h>
#include <ggml-cpu.h>
#include <ggml.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "engine/ops/attention.h"
#include "engine/ops/half.h"

namespace payonce::bench {
namespace {

using engine::AttentionPlan;
using engine::AttentionShape;
using engine::kPageTokens;
using engine::SequenceRows;

constexpr size_t kMaxBytes = size_t{384} << 20;

struct ModelShape {
  const char* name;
  int layers, q_heads, kv_heads, head_dim;
};
constexpr ModelShape kModels[] = {{"smollm2-135m", 30, 9, 3, 64},
                                  {"qwen2.5-0.5b", 24, 14, 2, 64},
                                  {"qwen3-0.6b", 28, 16, 8, 128},
                                  {"gemma3-270m", 18, 4, 1, 256}};

struct Load {
  int sequences = 1;
  int rows = 1;    // each
  int shared = 0;  // tokens that all sequences begin with
  int own = 0;     // tokens of each after these
};

int threads() {
  const char* wanted = std::getenv("PAYONCE_BENCH_THREADS");
  return wanted == nullptr ? 2 : std::max(1, std::atoi(wanted));
}

// Zero pages of the operating system; huge ones, as the engine asks for its pools.
class Memory {
 public:
  explicit Memory(size_t bytes)
      : bytes_(bytes), data_(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {
    if (data_ == MAP_FAILED) std::abort();
    if (std::getenv("PAYONCE_BENCH_SMALL_PAGES") == nullptr) madvise(data_, bytes, MADV_HUGEPAGE);
  }
  ~Memory() { munmap(data_, bytes_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  void* data() const { return data_; }
  std::byte* bytes() const { return static_cast<std::byte*>(data_); }

 private:
  size_t bytes_;
  void* data_;
};

class Graph {
 public:
  explicit Graph(size_t tensors)
      : context_(ggml_init(
            {ggml_tensor_overhead() * tensors + ggml_graph_overhead_custom(tensors, false), nullptr, true})),
        graph_(ggml_new_graph_custom(context_, tensors, false)) {}
  ~Graph() { ggml_free(context_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  ggml_tensor* tensor(ggml_type type, int64_t ne0, int64_t ne1, int64_t ne2, void* data) {
    ggml_tensor* result = ggml_new_tensor_3d(context_, type, ne0, ne1, ne2);
    result->data = data;
    return result;
  }
  ggml_context* context() { return context_; }
  void add(ggml_tensor* node) { ggml_build_forward_expand(graph_, node); }

  void finish(ggml_threadpool* pool) {
    plan_ = ggml_graph_plan(graph_, threads(), pool);
    work_.resize(plan_.work_size);
    plan_.work_data = work_.data();
  }
  double run_ms() {
    const auto begin = std::chrono::steady_clock::now();
    ggml_graph_compute(graph_, &plan_);
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
  }

 private:
  ggml_context* context_;
  ggml_cgraph* graph_;
  ggml_cplan plan_{};
  std::vector<uint8_t> work_;
};

// What both sides work on. A token of the "unified" cache is one of the shared ones or one sequence's own, in this
// order.
struct Problem {
  Problem(const ModelShape& model_shape, const Load& load_of, engine::KvType type)
      : model(model_shape),
        load(load_of),
        tokens(load.shared + load.sequences * load.own),
        rows(load.sequences * load.rows) {
    shape.q_heads = model.q_heads;
    shape.page = {model.kv_heads, model.head_dim, type};
    shape.scale = 1 / std::sqrt(static_cast<float>(model.head_dim));
    token_bytes = static_cast<size_t>(model.kv_heads * model.head_dim) * 2;
    const size_t layer_bytes = static_cast<size_t>(tokens) * token_bytes * 2;
    layers = static_cast<int>(std::clamp<size_t>(kMaxBytes / layer_bytes, 1, static_cast<size_t>(model.layers)));
    queries.resize(static_cast<size_t>(rows * model.q_heads * model.head_dim));
    std::normal_distribution<float> normal;
    for (float& number : queries) number = normal(random);
    place_blocks();
  }

  // Blocks lie scattered over a pool of twice their number. The tail of the shared tokens is whole blocks.
  void place_blocks() {
    const auto shared_blocks = static_cast<size_t>(load.shared / kPageTokens);
    const auto own_blocks = static_cast<size_t>((load.own + kPageTokens - 1) / kPageTokens);
    pool_blocks = 2 * (shared_blocks + own_blocks * static_cast<size_t>(load.sequences));
    std::vector<int32_t> ids(pool_blocks);
    std::iota(ids.begin(), ids.end(), 0);
    std::shuffle(ids.begin(), ids.end(), random);
    auto next = ids.begin() + static_cast<std::ptrdiff_t>(shared_blocks);
    for (int i = 0; i < load.sequences; ++i) {
      tables.emplace_back(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(shared_blocks));
      tables.back().insert(tables.back().end(), next, next + static_cast<std::ptrdiff_t>(own_blocks));
      next += static_cast<std::ptrdiff_t>(own_blocks);
    }
    for (int i = 0; i < load.sequences; ++i) {
      sequences.push_back(
          {i * load.rows, load.rows, load.shared + load.own - load.rows, tables[static_cast<size_t>(i)]});
    }
  }

  int64_t slot(int token) const {  // where a token of the unified cache lies in the pool
    const int sequence = token < load.shared ? 0 : (token - load.shared) / load.own;
    const int at = token < load.shared ? token : load.shared + (token - load.shared) % load.own;
    return int64_t{tables[static_cast<size_t>(sequence)][static_cast<size_t>(at / kPageTokens)]} * kPageTokens +
           at % kPageTokens;
  }

  ModelShape model;
  Load load;
  int tokens, rows, layers = 1;
  size_t token_bytes = 0, pool_blocks = 0;
  AttentionShape shape;
  std::vector<float> queries;
  std::vector<std::vector<int32_t>> tables;
  std::vector<SequenceRows> sequences;
  std::mt19937 random{1};
};

class Contest {
 public:
  Contest(const ModelShape& model, const Load& load, engine::KvType type)
      : problem_(model, load, type),
        pool_bytes_(problem_.pool_blocks * engine::page_bytes(problem_.shape.page)),
        cache_bytes_(static_cast<size_t>(problem_.tokens) * problem_.token_bytes),
        pools_(pool_bytes_ * static_cast<size_t>(problem_.layers)),
        caches_(cache_bytes_ * 2 * static_cast<size_t>(problem_.layers)),
        paged_(static_cast<size_t>(problem_.layers) * 4 + 16),
        contiguous_(static_cast<size_t>(problem_.layers) * 8 + 16),
        paged_out_(problem_.queries.size()),
        contiguous_out_(problem_.queries.size()) {
    fill();
    ggml_threadpool_params parameters = ggml_threadpool_params_default(threads());
    threadpool_ = ggml_threadpool_new(&parameters);
    build_paged();
    build_contiguous();
  }
  ~Contest() { ggml_threadpool_free(threadpool_); }
  Contest(const Contest&) = delete;
  Contest& operator=(const Contest&) = delete;

  double paged_ms() { return paged_.run_ms(); }
  double contiguous_ms() { return contiguous_.run_ms(); }
  // Largest difference of the two results, in parts of the largest number.
  double difference() {
    paged_ms();
    contiguous_ms();
    float largest = 0, difference = 0;
    for (size_t i = 0; i < paged_out_.size(); ++i) {
      largest = std::max(largest, std::fabs(paged_out_[i]));
      difference = std::max(difference, std::fabs(paged_out_[i] - contiguous_out_[i]));
    }
    return double{difference} / double{largest};
  }
  double plan_us() {
    const auto begin = std::chrono::steady_clock::now();
    const auto plan = AttentionPlan::make(problem_.shape, problem_.sequences, threads());
    return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  }

 private:
  void fill() {
    const auto row = static_cast<size_t>(problem_.model.kv_heads * problem_.model.head_dim);
    std::vector<float> keys(row), values(row);
    std::uniform_real_distribution<float> uniform(-1, 1);
    std::vector<float> noise((size_t{1} << 16) + row);
    for (float& number : noise) number = uniform(problem_.random);
    for (size_t layer = 0; layer < static_cast<size_t>(problem_.layers); ++layer) {
      for (int token = 0; token < problem_.tokens; ++token) {
        std::copy_n(noise.begin() + problem_.random() % (1 << 16), row, keys.begin());
        std::copy_n(noise.begin() + problem_.random() % (1 << 16), row, values.begin());
        const int64_t slot = problem_.slot(token);
        engine::store_rows(problem_.shape.page, pools_.bytes() + layer * pool_bytes_, &slot, keys.data(),
                           values.data(), 0, 1);
        std::byte* cache =
            caches_.bytes() + layer * 2 * cache_bytes_ + static_cast<size_t>(token) * problem_.token_bytes;
        ggml_cpu_fp32_to_fp16(keys.data(), reinterpret_cast<ggml_fp16_t*>(cache), static_cast<int64_t>(row));
        ggml_cpu_fp32_to_fp16(values.data(), reinterpret_cast<ggml_fp16_t*>(cache + cache_bytes_),
                              static_cast<int64_t>(row));
      }
    }
  }

  struct Part {
    Contest* contest;
    int part;
    const std::byte* pool;
  };

  static void run_part(ggml_tensor*, int thread, int, void* data) {
    const auto& part = *static_cast<const Part*>(data);
    Contest& contest = *part.contest;
    contest.plan_->run_part(part.part, part.pool, contest.problem_.queries.data(), contest.paged_out_.data(), thread);
  }

  void build_paged() {
    plan_ = AttentionPlan::make(problem_.shape, problem_.sequences, threads());
    parts_.reserve(static_cast<size_t>(problem_.layers) * 2);
    for (int layer = 0; layer < problem_.layers; ++layer) {
      for (const int part : {0, 1}) {
        parts_.push_back({this, part, pools_.bytes() + static_cast<size_t>(layer) * pool_bytes_});
        ggml_tensor* node = ggml_custom_4d(paged_.context(), GGML_TYPE_F32, problem_.model.head_dim, problem_.rows, 1,
                                           1, nullptr, 0, run_part, GGML_N_TASKS_MAX, &parts_.back());
        node->data = paged_out_.data();
        paged_.add(node);
      }
    }
    paged_.finish(threadpool_);
  }

  void build_contiguous() {
    const ModelShape& m = problem_.model;
    const int64_t mask_rows = problem_.rows;
    mask_.assign(static_cast<size_t>(problem_.tokens * mask_rows), ggml_fp32_to_fp16(-INFINITY));
    for (int row = 0; row < problem_.rows; ++row) {
      const int sequence = row / problem_.load.rows;
      const int last = problem_.load.own - problem_.load.rows + row % problem_.load.rows;  // of its own
      ggml_fp16_t* line = mask_.data() + static_cast<size_t>(row) * static_cast<size_t>(problem_.tokens);
      const int own = problem_.load.shared + sequence * problem_.load.own;
      std::fill_n(line, std::min(problem_.load.shared, problem_.load.shared + last + 1), ggml_fp16_t{0});
      if (last >= 0) std::fill_n(line + own, last + 1, ggml_fp16_t{0});
    }
    ggml_tensor* mask = contiguous_.tensor(GGML_TYPE_F16, problem_.tokens, mask_rows, 1, mask_.data());
    ggml_tensor* queries =
        contiguous_.tensor(GGML_TYPE_F32, m.head_dim, m.q_heads, problem_.rows, problem_.queries.data());
    ggml_tensor* q = ggml_permute(contiguous_.context(), queries, 0, 2, 1, 3);
    for (int layer = 0; layer < problem_.layers; ++layer) {
      std::byte* base = caches_.bytes() + static_cast<size_t>(layer) * 2 * cache_bytes_;
      ggml_tensor* keys = contiguous_.tensor(GGML_TYPE_F16, m.head_dim, m.kv_heads, problem_.tokens, base);
      ggml_tensor* values =
          contiguous_.tensor(GGML_TYPE_F16, m.head_dim, m.kv_heads, problem_.tokens, base + cache_bytes_);
      ggml_tensor* node = ggml_flash_attn_ext(
          contiguous_.context(), q, ggml_permute(contiguous_.context(), keys, 0, 2, 1, 3),
          ggml_permute(contiguous_.context(), values, 0, 2, 1, 3), mask, problem_.shape.scale, 0, 0);
      node->data = contiguous_out_.data();
      contiguous_.add(node);
    }
    contiguous_.finish(threadpool_);
  }

  Problem problem_;
  const size_t pool_bytes_, cache_bytes_;
  Memory pools_, caches_;
  Graph paged_, contiguous_;
  std::vector<float> paged_out_, contiguous_out_;
  std::vector<ggml_fp16_t> mask_;
  std::vector<Part> parts_;
  std::unique_ptr<AttentionPlan> plan_;
  ggml_threadpool* threadpool_ = nullptr;
};

double median(std::vector<double> numbers) {
  std::nth_element(numbers.begin(), numbers.begin() + static_cast<std::ptrdiff_t>(numbers.size() / 2), numbers.end());
  return numbers[numbers.size() / 2];
}

void compete(benchmark::State& state, const ModelShape& model, const Load& load, engine::KvType type) {
  Contest contest(model, load, type);
  const double difference = contest.difference();
  if (!(difference < (type == engine::KvType::kF16 ? 0.1 : 0.2))) return state.SkipWithError("results differ");
  std::vector<double> paged, contiguous, ratios, plans;
  for (auto _ : state) {
    contiguous.push_back(contest.contiguous_ms());
    paged.push_back(contest.paged_ms());
    ratios.push_back(paged.back() / contiguous.back());
    plans.push_back(contest.plan_us());
    state.SetIterationTime(paged.back() / 1e3);
  }
  const double best_paged = *std::min_element(paged.begin(), paged.end());
  const double best_ggml = *std::min_element(contiguous.begin(), contiguous.end());
  state.counters["paged_ms"] = best_paged;
  state.counters["ggml_ms"] = best_ggml;
  state.counters["best"] = best_paged / best_ggml;
  state.counters["ratio"] = median(ratios);
  state.counters["plan_us"] = *std::min_element(plans.begin(), plans.end());
  state.counters["differ"] = difference;
}

void add(const ModelShape& model, const std::string& name, const Load& load, engine::KvType type, int iterations) {
  benchmark::RegisterBenchmark((name + "/" + model.name).c_str(), compete, model, load, type)
      ->UseManualTime()
      ->Unit(benchmark::kMillisecond)
      ->Iterations(iterations);
}

}  // namespace
}  // namespace payonce::bench

int main(int argc, char** argv) {
  using payonce::engine::KvType;
  using namespace payonce::bench;
  for (const ModelShape& model : kModels) {
    for (const int tokens : {2048, 8192, 32768}) {
      add(model, "decode/" + std::to_string(tokens), {.own = tokens}, KvType::kF16, 15);
    }
    add(model, "decode_q8_0/8192", {.own = 8192}, KvType::kQ8_0, 15);
    for (const int tokens : {2048, 8192}) {
      add(model, "prefill_512/" + std::to_string(tokens), {.rows = 512, .own = tokens}, KvType::kF16, 3);
    }
    add(model, "decode_16_share_1024", {.sequences = 16, .shared = 1024, .own = 128}, KvType::kF16, 15);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
