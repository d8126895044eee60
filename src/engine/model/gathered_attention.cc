#include "engine/model/gathered_attention.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/assert.h"

namespace payonce::engine {

namespace {

constexpr int32_t kBlocksStep = 16;  // 256 tokens, which CUDA's kernels want

int32_t round_up(int32_t value, int32_t step) { return (value + step - 1) / step * step; }

// The same bytes under another type and shape, for which ggml has no operation.
ggml_tensor* seen_as(ggml_context* context, ggml_tensor* tensor, ggml_type type,
                     const std::array<int64_t, 4>& shape) {
  ggml_tensor* out = ggml_view_1d(context, tensor, 1, 0);
  out->type = type;
  out->nb[0] = ggml_type_size(type);
  for (size_t i = 0; i < shape.size(); ++i) {
    out->ne[i] = shape[i];
    if (i > 0) out->nb[i] = out->nb[i - 1] * static_cast<size_t>(shape[i - 1]);
  }
  return out;
}

}  // namespace

base::Result<std::unique_ptr<GatheredAttention>> GatheredAttention::make(const Hyper& hyper, const KvSizes& sizes,
                                                                         ggml_backend_buffer_type_t buffer_type) {
  if (sizes.type != KvType::kF16) {
    return base::fail(base::Code::kInvalid, "gathered attention keeps its KV in f16 only");
  }
  std::unique_ptr<GatheredAttention> out(new GatheredAttention);
  out->kv_heads_ = hyper.kv_heads;
  out->head_dim_ = hyper.head_dim;
  out->scale_ = hyper.attention_scale;
  out->context_.reset(ggml_init({static_cast<size_t>(hyper.layers) * 2 * ggml_tensor_overhead(), nullptr, true}));
  for (const bool sliding : {false, true}) {
    Kind& kind = out->kinds_[sliding];
    for (int i = 0; i < hyper.layers; ++i) {
      if (hyper.layer_is_sliding[static_cast<size_t>(i)] == sliding) kind.layers.push_back(i);
    }
    kind.blocks = sliding ? sizes.sliding_blocks : sizes.full_blocks;
    kind.window = sliding ? hyper.window : 0;
    if (!kind.layers.empty() && kind.blocks < 1) return base::fail(base::Code::kInvalid, "a KV pool of no blocks");
    const int64_t width = hyper.kv_heads * hyper.head_dim, tokens = int64_t{kind.blocks} * kPageTokens;
    for (size_t i = 0; i < kind.layers.size(); ++i) {
      kind.keys.push_back(ggml_new_tensor_2d(out->context_.get(), GGML_TYPE_F16, width, tokens));
      kind.values.push_back(ggml_new_tensor_2d(out->context_.get(), GGML_TYPE_F16, width, tokens));
    }
  }
  out->buffer_.reset(ggml_backend_alloc_ctx_tensors_from_buft(out->context_.get(), buffer_type));
  if (!out->buffer_) return base::fail(base::Code::kExhausted, "no memory for the KV pools on the device");
  ggml_backend_buffer_clear(out->buffer_.get(), 0);  // a masked NaN would still be one
  return out;
}

int32_t GatheredAttention::first_block(const SequenceRows& sequence, const Kind& kind) const {
  if (!kind.window) return 0;
  return std::max(0, sequence.first_position - kind.window + 1) / kPageTokens;
}

int32_t GatheredAttention::blocks_needed(const SequenceRows& sequence, const Kind& kind) const {
  return (sequence.first_position + sequence.rows - 1) / kPageTokens + 1 - first_block(sequence, kind);
}

// Four numbers for each group.
GraphShape GatheredAttention::shape_of(const Batch& batch) const {
  std::vector<Group> groups;
  for (const SequenceRows& each : batch.full) {
    const bool joins = each.rows == 1 && !groups.empty() && groups.back().rows == 1;
    if (!joins) groups.push_back({.sequences = 0, .rows = each.rows});
    Group& group = groups.back();
    ++group.sequences;
    for (size_t pool = 0; pool < 2; ++pool) {
      if (kinds_[pool].layers.empty()) continue;
      group.blocks[pool] = std::max(group.blocks[pool], round_up(blocks_needed(each, kinds_[pool]), kBlocksStep));
    }
  }
  GraphShape out;
  for (const Group& each : groups) {
    out.numbers.insert(out.numbers.end(), {each.sequences, each.rows, each.blocks[0], each.blocks[1]});
  }
  return out;
}

std::vector<GatheredAttention::Group> GatheredAttention::groups_of(const GraphShape& shape) {
  std::vector<Group> out;
  for (size_t i = 0; i + 3 < shape.numbers.size(); i += 4) {
    const int32_t* n = &shape.numbers[i];
    out.push_back({.sequences = n[0], .rows = n[1], .blocks = {n[2], n[3]}});
  }
  return out;
}

size_t GatheredAttention::nodes_per_layer(const GraphShape& shape) const {
  constexpr size_t kStore = 8, kPerGroup = 20;
  return kStore + kPerGroup * groups_of(shape).size();
}

std::unique_ptr<GraphInputs> GatheredAttention::begin_build(const GraphShape& shape) {
  auto inputs = std::make_unique<Inputs>();
  inputs->groups = groups_of(shape);
  current_ = inputs.get();
  return inputs;
}

// The inputs of a kind, made in the graph's own context when its first layer is built.
GatheredAttention::KindInputs& GatheredAttention::inputs_for(ggml_context* context, size_t pool) {
  KindInputs& inputs = current_->kinds[pool];
  if (inputs.slots) return inputs;
  int64_t rows = 0;
  for (const Group& group : current_->groups) {
    const int64_t blocks = group.blocks[pool], tokens = blocks * kPageTokens;
    rows += int64_t{group.sequences} * group.rows;
    inputs.blocks.push_back(ggml_new_tensor_1d(context, GGML_TYPE_I32, blocks * group.sequences));
    inputs.masks.push_back(ggml_new_tensor_4d(context, GGML_TYPE_F16, tokens, group.rows, 1, group.sequences));
    ggml_set_input(inputs.blocks.back());
    ggml_set_input(inputs.masks.back());
  }
  inputs.slots = ggml_new_tensor_1d(context, GGML_TYPE_I64, rows);
  ggml_set_input(inputs.slots);
  return inputs;
}

std::pair<size_t, size_t> GatheredAttention::place_of(int layer) const {
  for (size_t pool = 0; pool < 2; ++pool) {
    const auto& layers = kinds_[pool].layers;
    const auto found = std::lower_bound(layers.begin(), layers.end(), layer);
    if (found != layers.end() && *found == layer) return {pool, static_cast<size_t>(found - layers.begin())};
  }
  PAYONCE_ASSERT(false);
  return {};
}

// Whole pages as rows of I32, so that they are copied bit by bit; seen as [head_dim, tokens, kv_heads, sequences].
ggml_tensor* GatheredAttention::gather(ggml_context* context, ggml_tensor* stored, ggml_tensor* ids,
                                       const Group& group, int32_t blocks) {
  ggml_tensor* pages =
      seen_as(context, stored, GGML_TYPE_I32, {stored->ne[0] * kPageTokens / 2, stored->ne[1] / kPageTokens, 1, 1});
  ggml_tensor* rows = seen_as(context, ggml_get_rows(context, pages, ids), GGML_TYPE_F16,
                              {head_dim_, kv_heads_, int64_t{blocks} * kPageTokens, group.sequences});
  return ggml_permute(context, rows, 0, 2, 1, 3);
}

ggml_tensor* GatheredAttention::attend(ggml_context* context, ggml_cgraph*, int layer, ggml_tensor* q, ggml_tensor* k,
                                       ggml_tensor* v) {
  const auto [pool, place] = place_of(layer);
  KindInputs& inputs = inputs_for(context, pool);
  const int64_t width = kv_heads_ * head_dim_;
  ggml_tensor* keys =
      ggml_set_rows(context, kinds_[pool].keys[place], ggml_reshape_2d(context, k, width, k->ne[2]), inputs.slots);
  ggml_tensor* values =
      ggml_set_rows(context, kinds_[pool].values[place], ggml_reshape_2d(context, v, width, v->ne[2]), inputs.slots);
  ggml_tensor* out = nullptr;
  size_t first_row = 0;
  for (size_t i = 0; i < current_->groups.size(); ++i) {
    const Group& group = current_->groups[i];
    ggml_tensor* part = ggml_view_4d(context, q, q->ne[0], q->ne[1], group.rows, group.sequences, q->nb[1], q->nb[2],
                                     q->nb[2] * static_cast<size_t>(group.rows), first_row * q->nb[2]);
    ggml_tensor* y = ggml_flash_attn_ext(context, ggml_permute(context, part, 0, 2, 1, 3),
                                         gather(context, keys, inputs.blocks[i], group, group.blocks[pool]),
                                         gather(context, values, inputs.blocks[i], group, group.blocks[pool]),
                                         inputs.masks[i], scale_, 0, 0);
    ggml_prec_set_acc(y, GGML_PREC_F32);
    const int64_t rows = int64_t{group.rows} * group.sequences;
    y = ggml_reshape_2d(context, y, q->ne[0] * q->ne[1], rows);
    out = out ? ggml_concat(context, out, y, 1) : y;
    first_row += static_cast<size_t>(rows);
  }
  return out;
}

void GatheredAttention::store(ggml_context* context, ggml_cgraph* graph, int layer, ggml_tensor* k, ggml_tensor* v) {
  const auto [pool, place] = place_of(layer);
  KindInputs& inputs = inputs_for(context, pool);
  const int64_t width = kv_heads_ * head_dim_;
  for (const auto& [to, from] : {std::pair(kinds_[pool].keys[place], k), std::pair(kinds_[pool].values[place], v)}) {
    ggml_build_forward_expand(
        graph, ggml_set_rows(context, to, ggml_reshape_2d(context, from, width, from->ne[2]), inputs.slots));
  }
}

void GatheredAttention::begin_step(const Batch& batch, GraphInputs* graph_inputs) {
  auto& inputs = static_cast<Inputs&>(*graph_inputs);
  fill(kinds_[0], inputs.kinds[0], inputs.groups, 0, batch.full, batch.tokens.size());
  fill(kinds_[1], inputs.kinds[1], inputs.groups, 1, batch.sliding, batch.tokens.size());
}

void GatheredAttention::fill(const Kind& kind, KindInputs& inputs, const std::vector<Group>& groups, size_t pool,
                             std::span<const SequenceRows> sequences, size_t rows) {
  if (!inputs.slots) return;
  slots_.resize(rows);
  size_t next = 0;
  const ggml_fp16_t masked = ggml_fp32_to_fp16(-INFINITY), seen = ggml_fp32_to_fp16(0);
  for (size_t g = 0; g < groups.size(); ++g) {
    const auto blocks = static_cast<size_t>(groups[g].blocks[pool]), tokens = blocks * kPageTokens;
    ids_.assign(blocks * static_cast<size_t>(groups[g].sequences), 0);
    mask_.assign(tokens * static_cast<size_t>(groups[g].rows * groups[g].sequences), masked);
    for (size_t s = 0; s < static_cast<size_t>(groups[g].sequences); ++s) {
      const SequenceRows& sequence = sequences[next++];
      const int32_t first = first_block(sequence, kind), count = blocks_needed(sequence, kind);
      for (int32_t i = 0; i < count; ++i) {
        ids_[s * blocks + static_cast<size_t>(i)] = std::max(0, sequence.blocks[static_cast<size_t>(first + i)]);
      }
      for (int32_t i = 0; i < sequence.rows; ++i) {
        const int32_t position = sequence.first_position + i;
        const int32_t block = sequence.blocks[static_cast<size_t>(position / kPageTokens)];
        PAYONCE_ASSERT(block >= 0 && block < kind.blocks);
        slots_[static_cast<size_t>(sequence.first_row + i)] = int64_t{block} * kPageTokens + position % kPageTokens;
        const int32_t from = kind.window ? std::max(0, position - kind.window + 1) : 0;
        auto row = mask_.begin() +
                   static_cast<ptrdiff_t>((s * static_cast<size_t>(sequence.rows) + static_cast<size_t>(i)) * tokens);
        std::fill(row + (from - first * kPageTokens), row + (position - first * kPageTokens + 1), seen);
      }
    }
    // A last layer that only stores leaves them without memory.
    if (inputs.blocks[g]->data)
      ggml_backend_tensor_set(inputs.blocks[g], ids_.data(), 0, ggml_nbytes(inputs.blocks[g]));
    if (inputs.masks[g]->data)
      ggml_backend_tensor_set(inputs.masks[g], mask_.data(), 0, ggml_nbytes(inputs.masks[g]));
  }
  ggml_backend_tensor_set(inputs.slots, slots_.data(), 0, ggml_nbytes(inputs.slots));
}

size_t GatheredAttention::block_bytes(Pool pool) const {
  return kinds_[static_cast<size_t>(pool)].layers.size() * 2 * kPageTokens * token_bytes();
}

// Calls move(tensor, offset in it, bytes) for keys and values of a block, layer by layer.
template <typename Move>
void GatheredAttention::for_each_part(Pool pool, int32_t block, Move&& move) const {
  const Kind& kind = kinds_[static_cast<size_t>(pool)];
  PAYONCE_ASSERT(block >= 0 && block < kind.blocks);
  const size_t bytes = kPageTokens * token_bytes();
  for (size_t i = 0; i < kind.layers.size(); ++i) {
    move(kind.keys[i], static_cast<size_t>(block) * bytes, bytes);
    move(kind.values[i], static_cast<size_t>(block) * bytes, bytes);
  }
}

void GatheredAttention::copy_block(Pool pool, int32_t from, int32_t to) {
  scratch_.resize(block_bytes(pool));
  export_block(pool, from, scratch_);
  import_block(pool, to, scratch_);
}

void GatheredAttention::export_block(Pool pool, int32_t block, std::span<std::byte> out) const {
  PAYONCE_ASSERT(out.size() == block_bytes(pool));
  for_each_part(pool, block, [at = out.data()](ggml_tensor* tensor, size_t offset, size_t bytes) mutable {
    ggml_backend_tensor_get(tensor, at, offset, bytes);
    at += bytes;
  });
}

void GatheredAttention::import_block(Pool pool, int32_t block, std::span<const std::byte> bytes) {
  PAYONCE_ASSERT(bytes.size() == block_bytes(pool));
  for_each_part(pool, block, [at = bytes.data()](ggml_tensor* tensor, size_t offset, size_t count) mutable {
    ggml_backend_tensor_set(tensor, at, offset, count);
    at += count;
  });
}

}  // namespace payonce::engine
