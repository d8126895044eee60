#include "engine/model/graph.h"

#include <cmath>

namespace payonce::engine {

namespace {

class Builder {
 public:
  Builder(const GraphPlan& plan, StepGraph& out, int64_t rows)
      : weights_(plan.weights),
        hyper_(plan.hyper),
        attention_(plan.attention),
        at_least_(plan.at_least),
        out_(out),
        c_(out.context.get()),
        rows_(rows) {}

  void build(int64_t outputs) {
    out_.tokens = input(rows_);
    out_.positions = input(rows_);
    if (outputs > 0 && outputs < rows_) out_.output_rows = input(outputs);
    ggml_tensor* x = ggml_get_rows(c_, weights_.embedding, out_.tokens);
    if (hyper_.architecture->scaled_embedding) x = ggml_scale(c_, x, std::sqrt(static_cast<float>(hyper_.width)));
    const auto last = static_cast<int>(weights_.layers.size()) - 1;
    for (int layer = 0; layer <= last; ++layer) {
      x = attention_part(x, layer, layer == last, outputs);
      if (!x) return;  // nothing is asked of the last layer but its keys and values
      x = feed_forward_part(x, weights_.layers[static_cast<size_t>(layer)]);
    }
    out_.logits = logits(x);
    ggml_build_forward_expand(out_.graph, out_.logits);
  }

 private:
  ggml_tensor* input(int64_t count) {
    ggml_tensor* tensor = ggml_new_tensor_1d(c_, GGML_TYPE_I32, count);
    ggml_set_input(tensor);
    return tensor;
  }

  ggml_tensor* norm(ggml_tensor* x, ggml_tensor* weight) {
    return ggml_mul(c_, ggml_rms_norm(c_, x, hyper_.norm_epsilon), weight);
  }

  ggml_tensor* linear(ggml_tensor* matrix, ggml_tensor* x, ggml_tensor* bias) {
    const int64_t columns = x->ne[1], least = least_columns(matrix->type);
    if (columns < least) x = ggml_pad(c_, x, 0, static_cast<int>(least - columns), 0, 0);
    ggml_tensor* y = ggml_mul_mat(c_, matrix, x);
    if (columns < least) y = ggml_view_2d(c_, y, y->ne[0], columns, y->nb[1], 0);
    return bias ? ggml_add(c_, y, bias) : y;
  }

  int64_t least_columns(ggml_type type) const {
    if (!at_least_) return 1;
    const auto found = at_least_->find(type);
    return found == at_least_->end() ? 1 : found->second;
  }

  ggml_tensor* rope(ggml_tensor* x, bool sliding) {
    const Rope& rope = sliding ? hyper_.rope_sliding : hyper_.rope;
    const int mode = hyper_.architecture->rope_halves ? GGML_ROPE_TYPE_NEOX : GGML_ROPE_TYPE_NORMAL;
    return ggml_rope_ext(c_, x, out_.positions, weights_.rope_factors, hyper_.rope_dims, mode,
                         hyper_.rope_original_context, rope.base, rope.scale, hyper_.rope_extrapolation,
                         hyper_.rope_attention_factor, hyper_.rope_beta_fast, hyper_.rope_beta_slow);
  }

  // x + attention(norm(x)). In the last layer only the output rows go on; null: there are none.
  ggml_tensor* attention_part(ggml_tensor* x, int layer, bool last, int64_t outputs) {
    const LayerWeights& w = weights_.layers[static_cast<size_t>(layer)];
    const bool sliding = hyper_.layer_is_sliding[static_cast<size_t>(layer)];
    const int64_t head = hyper_.head_dim;
    ggml_tensor* y = norm(x, w.attention_norm);
    ggml_tensor* k = ggml_reshape_3d(c_, linear(w.k, y, w.k_bias), head, hyper_.kv_heads, rows_);
    ggml_tensor* v = ggml_reshape_3d(c_, linear(w.v, y, w.v_bias), head, hyper_.kv_heads, rows_);
    if (w.k_norm) k = norm(k, w.k_norm);
    k = rope(k, sliding);
    if (last && outputs == 0) {
      attention_.store(c_, out_.graph, layer, k, v);
      return nullptr;
    }
    ggml_tensor* q = ggml_reshape_3d(c_, linear(w.q, y, w.q_bias), head, hyper_.q_heads, rows_);
    if (w.q_norm) q = norm(q, w.q_norm);
    q = rope(q, sliding);
    y = attention_.attend(c_, out_.graph, layer, q, k, v);
    if (last && out_.output_rows) {
      y = ggml_get_rows(c_, y, out_.output_rows);
      x = ggml_get_rows(c_, x, out_.output_rows);
    }
    y = linear(w.out, y, w.out_bias);
    if (w.post_attention_norm) y = norm(y, w.post_attention_norm);
    return ggml_add(c_, y, x);
  }

  ggml_tensor* feed_forward_part(ggml_tensor* x, const LayerWeights& w) {
    ggml_tensor* y = norm(x, w.ffn_norm);
    ggml_tensor* up = linear(w.up, y, w.up_bias);
    ggml_tensor* gate = linear(w.gate, y, w.gate_bias);
    y = hyper_.architecture->gelu ? ggml_geglu_split(c_, gate, up) : ggml_swiglu_split(c_, gate, up);
    y = linear(w.down, y, w.down_bias);
    if (w.post_ffn_norm) y = norm(y, w.post_ffn_norm);
    return ggml_add(c_, y, x);
  }

  ggml_tensor* logits(ggml_tensor* x) {
    ggml_tensor* y = linear(weights_.output, norm(x, weights_.output_norm), weights_.output_bias);
    if (hyper_.final_softcap > 0) {
      y = ggml_scale(c_, y, 1.0F / hyper_.final_softcap);
      y = ggml_scale(c_, ggml_tanh(c_, y), hyper_.final_softcap);
    }
    ggml_set_output(y);
    return y;
  }

  const Weights& weights_;
  const Hyper& hyper_;
  AttentionNodes& attention_;
  const ColumnClasses* at_least_;
  StepGraph& out_;
  ggml_context* c_;
  int64_t rows_;
};

}  // namespace

base::Result<StepGraph> build_graph(const GraphPlan& plan, int64_t rows, int64_t outputs) {
  constexpr size_t kNodesPerLayer = 64, kOtherNodes = 32;  // more than the richest architecture has
  const size_t nodes = plan.weights.layers.size() * (kNodesPerLayer + plan.attention_nodes) + kOtherNodes;
  StepGraph out;
  const size_t bytes = nodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(nodes, false);
  PAYONCE_TRY(out.memory, Pages::make(bytes));
  out.context.reset(ggml_init({bytes, out.memory.data(), /*no_alloc=*/true}));
  out.graph = ggml_new_graph_custom(out.context.get(), nodes, false);
  Builder(plan, out, rows).build(outputs);
  return out;
}

}  // namespace payonce::engine
