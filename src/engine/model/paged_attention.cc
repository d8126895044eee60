#include "engine/model/paged_attention.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/assert.h"

namespace payonce::engine {

namespace {

constexpr int32_t kQ8Group = 32;

}  // namespace

std::byte* PagedAttention::Kind::page(size_t layer_of_kind, int32_t block) const {
  PAYONCE_ASSERT(block >= 0 && block < blocks);
  return memory.data() + (layer_of_kind * static_cast<size_t>(blocks) + static_cast<size_t>(block)) * page_bytes();
}

base::Result<std::unique_ptr<PagedAttention>> PagedAttention::make(const Hyper& hyper, const KvSizes& sizes,
                                                                   int threads) {
  if (sizes.type == KvType::kQ8_0 && hyper.head_dim % kQ8Group) {
    return base::fail(base::Code::kInvalid,
                      fmt::format("q8_0 KV needs a head_dim that 32 divides; this model has {}", hyper.head_dim));
  }
  std::unique_ptr<PagedAttention> out(new PagedAttention);
  out->threads_ = threads;
  const PageShape page{.kv_heads = hyper.kv_heads, .head_dim = hyper.head_dim, .type = sizes.type};
  for (const Pool pool : {Pool::kFull, Pool::kSliding}) {
    Kind& kind = out->kind_of(pool);
    const bool sliding = pool == Pool::kSliding;
    kind.shape = {
        .q_heads = hyper.q_heads, .page = page, .scale = hyper.attention_scale, .window = sliding ? hyper.window : 0};
    for (int i = 0; i < hyper.layers; ++i) {
      if (hyper.layer_is_sliding[static_cast<size_t>(i)] == sliding) kind.layers.push_back(i);
    }
    kind.blocks = kind.layers.empty() ? 0 : sliding ? sizes.sliding_blocks : sizes.full_blocks;
    PAYONCE_CHECK_OK(make_pool(kind));
  }
  out->layers_.resize(static_cast<size_t>(hyper.layers));
  for (Kind& kind : out->kinds_) {
    for (size_t i = 0; i < kind.layers.size(); ++i) {
      std::byte* pages = kind.blocks ? kind.page(i, 0) : nullptr;
      out->layers_[static_cast<size_t>(kind.layers[i])] = {.kind = &kind, .pages = pages, .threads = threads};
    }
  }
  return out;
}

// A block costs nothing until it is used; zeros, so that a page never holds a NaN that was not stored.
base::Status PagedAttention::make_pool(Kind& kind) {
  if (kind.layers.empty()) return {};
  if (kind.blocks < 1) return base::fail(base::Code::kInvalid, "a KV pool of no blocks");
  PAYONCE_TRY(kind.memory, Pages::make(kind.layers.size() * static_cast<size_t>(kind.blocks) * kind.page_bytes()));
  madvise(kind.memory.data(), kind.memory.size(), MADV_HUGEPAGE);
  return {};
}

void PagedAttention::begin_step(const Batch& batch, GraphInputs*) {
  begin_kind(kind_of(Pool::kFull), batch.full, batch.tokens.size());
  begin_kind(kind_of(Pool::kSliding), batch.sliding, batch.tokens.size());
}

void PagedAttention::begin_kind(Kind& kind, std::span<const SequenceRows> sequences, size_t rows) {
  kind.plan.reset();
  if (kind.layers.empty()) return;
  kind.slots.resize(rows);
  for (const SequenceRows& each : sequences) {
    for (int32_t i = 0; i < each.rows; ++i) {
      const int32_t position = each.first_position + i;
      const int32_t block = each.blocks[static_cast<size_t>(position / kPageTokens)];
      PAYONCE_ASSERT(block >= 0 && block < kind.blocks);
      kind.slots[static_cast<size_t>(each.first_row + i)] = int64_t{block} * kPageTokens + position % kPageTokens;
    }
  }
  kind.plan = AttentionPlan::make(kind.shape, sequences, threads_);
}

ggml_tensor* PagedAttention::attend(ggml_context* context, ggml_cgraph*, int layer, ggml_tensor* q, ggml_tensor* k,
                                    ggml_tensor* v) {
  PAYONCE_ASSERT(ggml_is_contiguous(q) && ggml_is_contiguous(k) && ggml_is_contiguous(v));
  void* data = &layers_[static_cast<size_t>(layer)];
  ggml_tensor* kv[] = {k, v};
  ggml_tensor* stored = ggml_custom_4d(context, GGML_TYPE_F32, 1, 1, 1, 1, kv, 2, run_store, GGML_N_TASKS_MAX, data);
  ggml_tensor* queries[] = {q, stored};
  ggml_tensor* parts = ggml_custom_4d(context, GGML_TYPE_F32, q->ne[0] * q->ne[1], q->ne[2], 1, 1, queries, 2,
                                      run_attend, GGML_N_TASKS_MAX, data);
  return ggml_custom_inplace(context, parts, &q, 1, run_fold, GGML_N_TASKS_MAX, data);
}

void PagedAttention::store(ggml_context* context, ggml_cgraph* graph, int layer, ggml_tensor* k, ggml_tensor* v) {
  ggml_tensor* kv[] = {k, v};
  ggml_build_forward_expand(graph, ggml_custom_4d(context, GGML_TYPE_F32, 1, 1, 1, 1, kv, 2, run_store,
                                                  GGML_N_TASKS_MAX, &layers_[static_cast<size_t>(layer)]));
}

void PagedAttention::run_store(ggml_tensor* out, int thread, int threads, void* data) {
  const Layer& layer = *static_cast<const Layer*>(data);
  const Kind& kind = *layer.kind;
  const int rows = static_cast<int>(kind.slots.size());
  const int first = rows * thread / threads, end = rows * (thread + 1) / threads;
  store_rows(kind.shape.page, layer.pages, kind.slots.data(), static_cast<const float*>(out->src[0]->data),
             static_cast<const float*>(out->src[1]->data), first, end - first);
}

// The plan counts on layer.threads threads; with fewer, some play several parts.
void PagedAttention::run_attend(ggml_tensor* out, int thread, int threads, void* data) {
  const Layer& layer = *static_cast<const Layer*>(data);
  for (int i = thread; i < layer.threads; i += threads) {
    layer.kind->plan->run_part(0, layer.pages, static_cast<const float*>(out->src[0]->data),
                               static_cast<float*>(out->data), i);
  }
}

void PagedAttention::run_fold(ggml_tensor* out, int thread, int threads, void* data) {
  const Layer& layer = *static_cast<const Layer*>(data);
  for (int i = thread; i < layer.threads; i += threads) {
    layer.kind->plan->run_part(1, layer.pages, static_cast<const float*>(out->src[1]->data),
                               static_cast<float*>(out->data), i);
  }
}

size_t PagedAttention::block_bytes(Pool pool) const {
  const Kind& kind = kind_of(pool);
  return kind.layers.empty() ? 0 : kind.layers.size() * kind.page_bytes();
}

void PagedAttention::copy_block(Pool pool, int32_t from, int32_t to) {
  const Kind& kind = kind_of(pool);
  for (size_t i = 0; i < kind.layers.size(); ++i)
    std::memcpy(kind.page(i, to), kind.page(i, from), kind.page_bytes());
}

void PagedAttention::export_block(Pool pool, int32_t block, std::span<std::byte> out) const {
  const Kind& kind = kind_of(pool);
  PAYONCE_ASSERT(out.size() == block_bytes(pool));
  for (size_t i = 0; i < kind.layers.size(); ++i) {
    std::memcpy(out.data() + i * kind.page_bytes(), kind.page(i, block), kind.page_bytes());
  }
}

void PagedAttention::import_block(Pool pool, int32_t block, std::span<const std::byte> bytes) {
  const Kind& kind = kind_of(pool);
  PAYONCE_ASSERT(bytes.size() == block_bytes(pool));
  for (size_t i = 0; i < kind.layers.size(); ++i) {
    std::memcpy(kind.page(i, block), bytes.data() + i * kind.page_bytes(), kind.page_bytes());
  }
}

}  // namespace payonce::engine
