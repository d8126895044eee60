// The nearest of a group's questions: vectors of length 1, found by cosine.
//
// Up to kGraphThreshold rows every row is looked at, as int8 with one scale a row (388 bytes at 384 dimensions): 30
// µs at 10,000 rows, nothing to build, removal in O(1). Beyond it an HNSW graph (hnswlib) of float vectors proposes
// the candidates; it is built a few rows at a time, with each row that is added. Rows keep their int8 form in both
// cases, and similarities come from it: its error is about 0.0005.
//
// Threads: nearest() may run beside itself; add() and remove() alone.  Owner: the group.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

namespace payonce::semantic {

struct Neighbour {
  uint64_t id = 0;
  float similarity = 0;  // cosine, -1 to 1
};

class VectorIndex {
 public:
  static constexpr size_t kGraphThreshold = 25'000;  // rows; where the graph becomes quicker (bench/micro)

  explicit VectorIndex(size_t dimensions, size_t graph_threshold = kGraphThreshold);
  ~VectorIndex();
  VectorIndex(const VectorIndex&) = delete;
  VectorIndex& operator=(const VectorIndex&) = delete;

  void add(uint64_t id, std::span<const float> vector);  // `id` is not in it yet
  void remove(uint64_t id);                              // may be absent
  // Up to `count`, nearest first.
  std::vector<Neighbour> nearest(std::span<const float> query, size_t count) const;
  size_t size() const { return ids_.size(); }
  size_t bytes() const;

 private:
  struct Graph;
  float similarity(std::span<const float> query, size_t row) const;
  std::vector<Neighbour> scan(std::span<const float> query, size_t count) const;
  void start_graph();
  void grow_graph();
  std::vector<float> row_vector(size_t row) const;

  const size_t dimensions_, stride_, graph_threshold_;
  std::vector<int8_t> rows_;   // [row][stride_]
  std::vector<float> scales_;  // value = int8 * scale
  std::vector<uint64_t> ids_;
  std::unordered_map<uint64_t, size_t> row_of_;
  std::unique_ptr<Graph> graph_;    // null while every row is looked at
  std::unique_ptr<Graph> growing_;  // takes graph_'s place when it holds every row
  std::vector<uint64_t> waiting_;   // ids that growing_ has yet to take
};

}  // namespace payonce::semantic
