#include "semantic/index/vector_index.h"

// The library's vectorised code reads beyond the ends of its link lists to prefetch; the distance below is ours.
#define NO_MANUAL_VECTORIZATION
#include <hnswlib/hnswlib.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/assert.h"
#include "embed/vector.h"
#include "semantic/index/row_kernels.h"

namespace payonce::semantic {
namespace {

constexpr size_t kScanRows = 256;  // at a time: their dot products stay in the L1 cache
// Malkov and Yashunin 2018; recall@1 0.9995 at 100,000 questions.
constexpr size_t kRowsGrownAtOnce = 3;  // about 0.1 ms each
constexpr size_t kGraphLinks = 16, kGraphBuildWidth = 100, kGraphSearchWidth = 64;

// 1 - a . b; 16 sums side by side, which compilers vectorise.
float inner_product_distance(const void* a, const void* b, const void* dimensions) {
  constexpr size_t kLanes = 16;
  const auto *x = static_cast<const float*>(a), *y = static_cast<const float*>(b);
  const size_t count = *static_cast<const size_t*>(dimensions);
  std::array<float, kLanes> sums{};
  size_t d = 0;
  for (; d + kLanes <= count; d += kLanes)
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += x[d + lane] * y[d + lane];
  float sum = 0;
  for (; d < count; ++d) sum += x[d] * y[d];
  for (const float each : sums) sum += each;
  return 1 - sum;
}

class InnerProductSpace final : public hnswlib::SpaceInterface<float> {
 public:
  explicit InnerProductSpace(size_t dimensions) : dimensions_(dimensions) {}
  size_t get_data_size() override { return dimensions_ * sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return inner_product_distance; }
  void* get_dist_func_param() override { return &dimensions_; }

 private:
  size_t dimensions_;
};

bool nearer(const Neighbour& a, const Neighbour& b) {
  return a.similarity != b.similarity ? a.similarity > b.similarity : a.id < b.id;
}

}  // namespace

struct VectorIndex::Graph {
  Graph(size_t dimensions, size_t capacity)
      : space(dimensions), hnsw(&space, capacity, kGraphLinks, kGraphBuildWidth) {
    hnsw.setEf(kGraphSearchWidth);
  }
  void add(uint64_t id, const float* vector) {
    if (hnsw.cur_element_count >= hnsw.max_elements_) hnsw.resizeIndex(2 * hnsw.max_elements_);
    hnsw.addPoint(vector, id);
  }
  void remove(uint64_t id) {
    if (!hnsw.label_lookup_.contains(id)) return;
    hnsw.markDelete(id);
    ++removed;
  }
  InnerProductSpace space;
  hnswlib::HierarchicalNSW<float> hnsw;
  size_t removed = 0;  // rows that are gone but still lead to others
};

VectorIndex::VectorIndex(size_t dimensions, size_t graph_threshold)
    : dimensions_(dimensions),
      stride_((dimensions + kRowAlignment - 1) / kRowAlignment * kRowAlignment),
      graph_threshold_(graph_threshold) {}
VectorIndex::~VectorIndex() = default;

void VectorIndex::add(uint64_t id, std::span<const float> vector) {
  PAYONCE_ASSERT(vector.size() == dimensions_ && !row_of_.contains(id));
  const size_t row = ids_.size();
  rows_.resize((row + 1) * stride_);
  scales_.push_back(embed::quantise_int8(vector, rows_.data() + row * stride_));
  ids_.push_back(id);
  row_of_[id] = row;
  if (graph_) graph_->add(id, vector.data());
  if (growing_) {
    growing_->add(id, vector.data());
    grow_graph();
  } else if (graph_ ? graph_->removed > ids_.size() : ids_.size() > graph_threshold_) {
    start_graph();
  }
}

void VectorIndex::start_graph() {
  growing_ = std::make_unique<Graph>(dimensions_, 2 * ids_.size());
  waiting_ = ids_;
}

void VectorIndex::grow_graph() {
  for (size_t i = 0; i < kRowsGrownAtOnce && !waiting_.empty(); ++i) {
    const auto row = row_of_.find(waiting_.back());
    waiting_.pop_back();
    if (row != row_of_.end()) growing_->add(row->first, row_vector(row->second).data());
  }
  if (waiting_.empty()) graph_ = std::move(growing_);
}

std::vector<float> VectorIndex::row_vector(size_t row) const {
  std::vector<float> out(dimensions_);
  for (size_t d = 0; d < dimensions_; ++d) out[d] = static_cast<float>(rows_[row * stride_ + d]) * scales_[row];
  return out;
}

// The last row takes the place of the one that goes.
void VectorIndex::remove(uint64_t id) {
  const auto found = row_of_.find(id);
  if (found == row_of_.end()) return;
  const size_t row = found->second, last = ids_.size() - 1;
  row_of_.erase(found);
  if (row != last) {
    std::copy_n(rows_.data() + last * stride_, stride_, rows_.data() + row * stride_);
    scales_[row] = scales_[last];
    ids_[row] = ids_[last];
    row_of_[ids_[row]] = row;
  }
  rows_.resize(last * stride_);
  scales_.pop_back();
  ids_.pop_back();
  if (ids_.size() <= graph_threshold_ / 2) {
    graph_.reset();
    growing_.reset();
  }
  if (graph_) graph_->remove(id);
  if (growing_) growing_->remove(id);
}

float VectorIndex::similarity(std::span<const float> query, size_t row) const {
  float sum = 0;
  const int8_t* values = rows_.data() + row * stride_;
  for (size_t d = 0; d < dimensions_; ++d) sum += query[d] * static_cast<float>(values[d]);
  return sum * scales_[row];
}

std::vector<Neighbour> VectorIndex::nearest(std::span<const float> query, size_t count) const {
  PAYONCE_ASSERT(query.size() == dimensions_);
  if (ids_.empty() || count == 0) return {};
  std::vector<Neighbour> out;
  if (graph_) {
    auto found = graph_->hnsw.searchKnn(query.data(), count);
    for (; !found.empty(); found.pop())
      if (const auto row = row_of_.find(found.top().second); row != row_of_.end())
        out.push_back({row->first, similarity(query, row->second)});
  } else {
    out = scan(query, count);
  }
  std::sort(out.begin(), out.end(), nearer);
  return out;
}

// By the int8 query first; the similarity of those that come out is taken with the query as it is.
std::vector<Neighbour> VectorIndex::scan(std::span<const float> query, size_t count) const {
  std::vector<int8_t> quantised(stride_);
  const float query_scale = embed::quantise_int8(query, quantised.data());
  const RowKernels& kernels = row_kernels();
  struct Place {
    float rough;
    size_t row;
  };
  const auto better = [](const Place& a, const Place& b) { return a.rough > b.rough; };
  std::vector<Place> best;  // a heap, the worst on top
  int32_t dots[kScanRows];
  for (size_t begin = 0; begin < ids_.size(); begin += kScanRows) {
    const size_t rows = std::min(kScanRows, ids_.size() - begin);
    kernels.dots(quantised.data(), rows_.data() + begin * stride_, stride_, rows, dots);
    for (size_t i = 0; i < rows; ++i) {
      const float rough = static_cast<float>(dots[i]) * scales_[begin + i] * query_scale;
      if (best.size() == count && rough <= best.front().rough) continue;
      if (best.size() == count) {
        std::pop_heap(best.begin(), best.end(), better);
        best.pop_back();
      }
      best.push_back({rough, begin + i});
      std::push_heap(best.begin(), best.end(), better);
    }
  }
  std::vector<Neighbour> out;
  for (const Place& place : best) out.push_back({ids_[place.row], similarity(query, place.row)});
  return out;
}

size_t VectorIndex::bytes() const {
  const size_t row = stride_ + sizeof(float) + sizeof(uint64_t) + 48;
  const size_t node = dimensions_ * sizeof(float) + 8 * kGraphLinks + 32;
  size_t nodes = 0;
  for (const Graph* graph : {graph_.get(), growing_.get()})
    if (graph != nullptr) nodes += graph->hnsw.max_elements_;
  return ids_.size() * row + nodes * node;
}

}  // namespace payonce::semantic
