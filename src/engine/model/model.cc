#include "engine/model/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/assert.h"
#include "engine/model/architecture.h"
#include "engine/model/backend.h"
#include "engine/model/batch_invariance.h"
#include "engine/model/gathered_attention.h"
#include "engine/model/gguf_file.h"
#include "engine/model/graph.h"
#include "engine/model/library_log.h"
#include "engine/model/paged_attention.h"
#include "engine/model/step_cache.h"
#include "engine/model/weights.h"

namespace payonce::engine {

namespace {

base::Result<ModelInfo> info_of(const GgufFile& file, const Hyper& hyper, const Weights& weights) {
  ModelInfo out;
  out.file = file.path();
  PAYONCE_TRY(out.name, file.text("general.name", ""));
  if (out.name.empty()) out.name = std::filesystem::path(file.path()).filename().string();
  out.architecture = hyper.architecture->name;
  out.digest = file.digest();
  out.file_bytes = file.bytes().size();
  out.parameters = weights.parameters;
  out.layers = hyper.layers;
  out.width = hyper.width;
  out.q_heads = hyper.q_heads;
  out.kv_heads = hyper.kv_heads;
  out.head_dim = hyper.head_dim;
  out.vocab_size = weights.vocab_size;
  out.context_tokens = hyper.context_tokens;
  out.window = hyper.window;
  out.sliding_layers = hyper.sliding_layers();
  return out;
}

struct Opened {
  std::unique_ptr<GgufFile> file;
  Hyper hyper;
  Weights weights;
  ModelInfo info;
};

base::Result<Opened> open_model(const std::string& gguf_file) {
  Opened out;
  PAYONCE_TRY(out.file, GgufFile::open(gguf_file));
  PAYONCE_TRY(out.hyper, read_hyper(*out.file));
  PAYONCE_TRY(out.weights, Weights::find(*out.file, out.hyper));
  PAYONCE_TRY(out.info, info_of(*out.file, out.hyper, out.weights));
  return out;
}

class GgmlModel final : public Model {
 public:
  GgmlModel(Opened opened, const ModelOptions& options, std::unique_ptr<Backend> backend)
      : file_(std::move(opened.file)),
        hyper_(std::move(opened.hyper)),
        weights_(std::move(opened.weights)),
        info_(std::move(opened.info)),
        options_(options),
        backend_(std::move(backend)) {}

  base::Status set_up() {
    PAYONCE_CHECK_OK(backend_->on_cpu() ? weights_.map(*file_) : weights_.copy(*file_, backend_->buffer_type()));
    const KvSizes sizes{options_.full_blocks, options_.sliding_blocks, options_.kv_type};
    if (options_.gathered_attention || !backend_->on_cpu()) {
      PAYONCE_TRY(pools_, GatheredAttention::make(hyper_, sizes, backend_->buffer_type()));
    } else {
      PAYONCE_TRY(pools_, PagedAttention::make(hyper_, sizes, backend_->threads()));
      PAYONCE_TRY(classes_, find_column_classes(weights_, *backend_));
      exact_ = options_.exactness == Exactness::kAlways ||
               std::all_of(classes_.begin(), classes_.end(), [](const auto& each) { return each.second == 1; });
    }
    return {};
  }

  base::Result<std::span<const float>> compute(const Batch& batch) override {
    PAYONCE_CHECK_OK(check(batch));
    const StepCache::Key key{.rows = static_cast<int64_t>(batch.tokens.size()),
                             .outputs = static_cast<int64_t>(batch.output_rows.size()),
                             .shape = pools_->shape_of(batch)};
    PAYONCE_TRY(StepCache::Step* const step, cache_.get(key, [&] { return make_step(key); }));
    PAYONCE_CHECK_OK(backend_->prepare(step->graph.graph));
    fill_positions(batch);
    set(step->graph.tokens, batch.tokens);
    set(step->graph.positions, positions_);
    if (step->graph.output_rows) set(step->graph.output_rows, batch.output_rows);
    pools_->begin_step(batch, step->inputs.get());
    PAYONCE_CHECK_OK(backend_->compute(step->graph.graph));
    return read_logits(step->graph.logits);
  }

  int32_t vocab_size() const override { return weights_.vocab_size; }
  size_t block_bytes(Pool pool) const override { return pools_->block_bytes(pool); }
  void copy_block(Pool pool, int32_t from, int32_t to) override { pools_->copy_block(pool, from, to); }
  void export_block(Pool pool, int32_t block, std::span<std::byte> out) const override {
    pools_->export_block(pool, block, out);
  }
  void import_block(Pool pool, int32_t block, std::span<const std::byte> bytes) override {
    pools_->import_block(pool, block, bytes);
  }
  const ModelInfo& info() const override { return info_; }
  bool exact() const override { return exact_; }

  std::string layout() const override {
    const std::string kind = fmt::format("{}/{}x{}x{}/{}", kv_type_name(options_.kv_type), info_.layers,
                                         info_.kv_heads, info_.head_dim, kPageTokens);
    const std::string window = info_.window ? fmt::format("/w{}x{}", info_.window, info_.sliding_layers) : "";
    return fmt::format("{}{}/{}", kind, window, pools_->layout());
  }

 private:
  base::Status check(const Batch& batch) const {
    size_t rows = 0;
    for (const SequenceRows& each : batch.full) rows += static_cast<size_t>(each.rows);
    PAYONCE_ASSERT(rows == batch.tokens.size() && rows > 0);
    for (const int32_t token : batch.tokens) {
      if (token < 0 || token >= weights_.vocab_size) {
        return base::fail(base::Code::kInvalid, fmt::format("token {} is not in the vocabulary", token));
      }
    }
    return {};
  }

  base::Result<StepCache::Step> make_step(const StepCache::Key& key) {
    StepCache::Step step;
    step.key = key;
    step.inputs = pools_->begin_build(key.shape);
    const GraphPlan plan{.weights = weights_,
                         .hyper = hyper_,
                         .attention = pools_->nodes(),
                         .attention_nodes = pools_->nodes_per_layer(key.shape),
                         .at_least = options_.exactness == Exactness::kAlways ? &classes_ : nullptr};
    PAYONCE_TRY(step.graph, build_graph(plan, key.rows, key.outputs));
    PAYONCE_CHECK_OK(backend_->lay_out(step.graph.context.get(), step.graph.graph));
    step.bytes = ggml_used_mem(step.graph.context.get());
    return step;
  }

  void fill_positions(const Batch& batch) {
    positions_.resize(batch.tokens.size());
    for (const SequenceRows& each : batch.full) {
      for (int32_t i = 0; i < each.rows; ++i) {
        positions_[static_cast<size_t>(each.first_row + i)] = each.first_position + i;
      }
    }
  }

  static void set(ggml_tensor* tensor, const std::vector<int32_t>& values) {
    ggml_backend_tensor_set(tensor, values.data(), 0, values.size() * sizeof(int32_t));
  }

  std::span<const float> read_logits(const ggml_tensor* logits) {
    if (!logits) return {};
    const auto count = static_cast<size_t>(ggml_nelements(logits));
    if (backend_->on_cpu()) return {static_cast<const float*>(logits->data), count};
    logits_.resize(count);
    ggml_backend_tensor_get(logits, logits_.data(), 0, count * sizeof(float));
    return logits_;
  }

  std::unique_ptr<GgufFile> file_;
  Hyper hyper_;
  Weights weights_;
  ModelInfo info_;
  ModelOptions options_;
  std::unique_ptr<Backend> backend_;
  std::unique_ptr<KvPools> pools_;
  ColumnClasses classes_;
  bool exact_ = false;
  StepCache cache_;
  std::vector<int32_t> positions_;
  std::vector<float> logits_;  // of another device than the CPU
};

}  // namespace

base::Result<Model::Probe> Model::probe(const std::string& gguf_file, KvType kv_type) {
  PAYONCE_TRY(Opened opened, open_model(gguf_file));
  const size_t page = page_bytes({opened.hyper.kv_heads, opened.hyper.head_dim, kv_type});
  const auto sliding = static_cast<size_t>(opened.info.sliding_layers);
  return Probe{.info = std::move(opened.info),
               .full_block_bytes = page * (static_cast<size_t>(opened.hyper.layers) - sliding),
               .sliding_block_bytes = page * sliding};
}

base::Result<std::unique_ptr<Model>> Model::load(const std::string& gguf_file, const ModelOptions& options) {
  PAYONCE_TRY(Opened opened, open_model(gguf_file));
  PAYONCE_TRY(std::unique_ptr<Backend> backend, Backend::make(options.device, options.threads));
  auto model = std::make_unique<GgmlModel>(std::move(opened), options, std::move(backend));
  PAYONCE_CHECK_OK(model->set_up());
  return model;
}

}  // namespace payonce::engine
