#include "engine/model/backend.h"

#include <gtest/gtest.h>

#include <fstream>
#include <numeric>
#include <vector>

namespace payonce::engine {
namespace {

// y = 2x of so many numbers.
struct Doubling {
  explicit Doubling(int64_t numbers) {
    constexpr size_t kNodes = 8;
    context.reset(
        ggml_init({kNodes * ggml_tensor_overhead() + ggml_graph_overhead_custom(kNodes, false), nullptr, true}));
    graph = ggml_new_graph_custom(context.get(), kNodes, false);
    x = ggml_new_tensor_1d(context.get(), GGML_TYPE_F32, numbers);
    ggml_set_input(x);
    y = ggml_scale(context.get(), x, 2);
    ggml_set_output(y);
    ggml_build_forward_expand(graph, y);
  }

  // Whether it comes out right, begun with `first`. `in` and `out` have room for more.
  bool right(Backend& backend, float first, std::vector<float>& in, std::vector<float>& out) const {
    std::iota(in.begin(), in.end(), first);
    if (!backend.prepare(graph)) return false;
    ggml_backend_tensor_set(x, in.data(), 0, ggml_nbytes(x));
    if (!backend.compute(graph)) return false;
    ggml_backend_tensor_get(y, out.data(), 0, ggml_nbytes(y));
    for (size_t i = 0; i < static_cast<size_t>(x->ne[0]); ++i)
      if (out[i] != 2 * in[i]) return false;
    return true;
  }

  ggml_context_ptr context;
  ggml_cgraph* graph;
  ggml_tensor *x, *y;
};

size_t resident_bytes() {
  size_t all = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> all >> resident;
  return resident * 4096;
}

TEST(Backend, GraphsShareTheirMemoryAndKeepTheirPlaces) {
  const auto backend = Backend::make("", 1);
  ASSERT_TRUE(backend);
  const Doubling small(8);
  ASSERT_TRUE((*backend)->lay_out(small.context.get(), small.graph));
  const void* const place = small.x->data;
  constexpr int64_t kMebi = 1 << 20;
  std::vector<float> in(2 * kMebi), out(2 * kMebi);
  EXPECT_TRUE(small.right(**backend, 1, in, out));

  std::vector<Doubling> large;
  const size_t before = resident_bytes();
  for (int i = 0; i < 40; ++i) {
    large.emplace_back(kMebi + i);
    ASSERT_TRUE((*backend)->lay_out(large.back().context.get(), large.back().graph));
    EXPECT_EQ(large.back().x->buffer, small.x->buffer);
    EXPECT_TRUE(large.back().right(**backend, static_cast<float>(i), in, out));
  }
  EXPECT_LT(resident_bytes(), before + size_t{4 * 10 * kMebi});  // each alone takes 4 MiB or 8
  EXPECT_EQ(small.x->data, place);
  EXPECT_TRUE(small.right(**backend, 3, in, out));
  EXPECT_TRUE(large.front().right(**backend, 5, in, out));
}

}  // namespace
}  // namespace payonce::engine
