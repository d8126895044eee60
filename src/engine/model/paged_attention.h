// The CPU's KV pools and attention: pages in anonymous memory, read in place through the block tables
// (engine/ops/attention.h), run as custom operations of the graph.
// Threads: one; its operations run on the graph's threads during compute.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/model/graph.h"
#include "engine/model/kv_pools.h"
#include "engine/model/pages.h"

namespace payonce::engine {

class PagedAttention final : public KvPools, public AttentionNodes {
 public:
  static base::Result<std::unique_ptr<PagedAttention>> make(const Hyper& hyper, const KvSizes& sizes, int threads);

  AttentionNodes& nodes() override { return *this; }
  size_t nodes_per_layer(const GraphShape&) const override { return 3; }
  GraphShape shape_of(const Batch&) const override { return {}; }
  std::unique_ptr<GraphInputs> begin_build(const GraphShape&) override { return nullptr; }
  void begin_step(const Batch& batch, GraphInputs* inputs) override;

  size_t block_bytes(Pool pool) const override;
  void copy_block(Pool pool, int32_t from, int32_t to) override;
  void export_block(Pool pool, int32_t block, std::span<std::byte> out) const override;
  void import_block(Pool pool, int32_t block, std::span<const std::byte> bytes) override;
  const char* layout() const override { return "pages1"; }

  ggml_tensor* attend(ggml_context* context, ggml_cgraph* graph, int layer, ggml_tensor* q, ggml_tensor* k,
                      ggml_tensor* v) override;
  void store(ggml_context* context, ggml_cgraph* graph, int layer, ggml_tensor* k, ggml_tensor* v) override;

 private:
  // What one kind of layers shares: a pool, and the step's plan for it.
  struct Kind {
    AttentionShape shape;
    std::vector<int> layers;  // of the model, in order
    int32_t blocks = 0;
    Pages memory;                // [layers][blocks]
    std::vector<int64_t> slots;  // of the step's rows, see store_rows()
    std::unique_ptr<AttentionPlan> plan;
    size_t page_bytes() const { return engine::page_bytes(shape.page); }
    std::byte* page(size_t layer_of_kind, int32_t block) const;
  };
  // What a graph's operations point to: stable for the model's life.
  struct Layer {
    Kind* kind = nullptr;
    std::byte* pages = nullptr;
    int threads = 0;
  };

  PagedAttention() = default;
  static base::Status make_pool(Kind& kind);
  void begin_kind(Kind& kind, std::span<const SequenceRows> sequences, size_t rows);
  Kind& kind_of(Pool pool) { return kinds_[static_cast<size_t>(pool)]; }
  const Kind& kind_of(Pool pool) const { return kinds_[static_cast<size_t>(pool)]; }
  static void run_store(ggml_tensor* out, int thread, int threads, void* layer);
  static void run_attend(ggml_tensor* out, int thread, int threads, void* layer);
  static void run_fold(ggml_tensor* out, int thread, int threads, void* layer);

  Kind kinds_[2];  // by Pool
  std::vector<Layer> layers_;
  int threads_ = 0;
};

}  // namespace payonce::engine
