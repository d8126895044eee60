// KV pools and attention of back ends that run none of our code: keys and values lie token by token in F16 tensors of
// the device, are written by ggml_set_rows, gathered page by page with ggml_get_rows (as rows of I32: a plain copy),
// and attended to by ggml_flash_attn_ext under a mask. Slower and less exact than pages (sums may be made in F16),
// and a token's last bits depend on its batch. Threads: one.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/model/graph.h"
#include "engine/model/kv_pools.h"

namespace payonce::engine {

class GatheredAttention final : public KvPools, public AttentionNodes {
 public:
  // kInvalid: a KV type other than F16. kExhausted: no memory on the device.
  static base::Result<std::unique_ptr<GatheredAttention>> make(const Hyper& hyper, const KvSizes& sizes,
                                                               ggml_backend_buffer_type_t buffer_type);

  AttentionNodes& nodes() override { return *this; }
  size_t nodes_per_layer(const GraphShape& shape) const override;
  GraphShape shape_of(const Batch& batch) const override;
  std::unique_ptr<GraphInputs> begin_build(const GraphShape& shape) override;
  void begin_step(const Batch& batch, GraphInputs* inputs) override;

  size_t block_bytes(Pool pool) const override;
  void copy_block(Pool pool, int32_t from, int32_t to) override;
  void export_block(Pool pool, int32_t block, std::span<std::byte> out) const override;
  void import_block(Pool pool, int32_t block, std::span<const std::byte> bytes) override;
  const char* layout() const override { return "rows1"; }

  ggml_tensor* attend(ggml_context* context, ggml_cgraph* graph, int layer, ggml_tensor* q, ggml_tensor* k,
                      ggml_tensor* v) override;
  void store(ggml_context* context, ggml_cgraph* graph, int layer, ggml_tensor* k, ggml_tensor* v) override;

 private:
  // Sequences next to each other that attend together: of one row each, or a single one of several rows.
  struct Group {
    int32_t sequences = 0, rows = 0;  // rows of each sequence
    int32_t blocks[2] = {0, 0};  // by Pool: gathered for each sequence, rounded up so that graphs are found again
  };
  // Inputs of one graph for the layers of one kind.
  struct KindInputs {
    ggml_tensor* slots = nullptr;      // I64 [rows]: where keys and values go
    std::vector<ggml_tensor*> blocks;  // by group: I32 [blocks * sequences]
    std::vector<ggml_tensor*> masks;   // by group: F16 [blocks * 16, rows, 1, sequences]
  };
  struct Inputs final : GraphInputs {
    std::vector<Group> groups;
    KindInputs kinds[2];
  };
  struct Kind {
    std::vector<int> layers;                 // of the model
    std::vector<ggml_tensor*> keys, values;  // F16 [kv_heads * head_dim, blocks * 16], by place in `layers`
    int32_t blocks = 0;
    int32_t window = 0;
  };

  GatheredAttention() = default;
  static std::vector<Group> groups_of(const GraphShape& shape);
  int32_t blocks_needed(const SequenceRows& sequence, const Kind& kind) const;
  int32_t first_block(const SequenceRows& sequence, const Kind& kind) const;
  KindInputs& inputs_for(ggml_context* context, size_t pool);
  ggml_tensor* gather(ggml_context* context, ggml_tensor* stored, ggml_tensor* ids, const Group& group,
                      int32_t blocks);
  void fill(const Kind& kind, KindInputs& inputs, const std::vector<Group>& groups, size_t pool,
            std::span<const SequenceRows> sequences, size_t rows);
  std::pair<size_t, size_t> place_of(int layer) const;  // pool, place in its layers
  size_t token_bytes() const { return static_cast<size_t>(kv_heads_ * head_dim_) * sizeof(ggml_fp16_t); }
  template <typename Move>
  void for_each_part(Pool pool, int32_t block, Move&& move) const;

  int64_t kv_heads_ = 0, head_dim_ = 0;
  float scale_ = 1;
  Kind kinds_[2];  // by Pool
  ggml_context_ptr context_;
  ggml_backend_buffer_ptr buffer_;
  Inputs* current_ = nullptr;  // of the graph that is being built
  std::vector<int64_t> slots_;
  std::vector<int32_t> ids_;
  std::vector<ggml_fp16_t> mask_;
  mutable std::vector<std::byte> scratch_;
};

}  // namespace payonce::engine
