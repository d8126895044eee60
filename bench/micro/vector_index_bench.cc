// The nearest 5 of a group's questions: every row looked at, or the graph. Where the lines cross is
// VectorIndex::kGraphThreshold. Vectors are random directions around centres, as questions cluster.
#include <benchmark/benchmark.h>

#include <cmath>
#include <map>
#include <memory>
#include <random>

#include "semantic/index/vector_index.h"

namespace {

using payonce::semantic::VectorIndex;
constexpr size_t kDimensions = 384;

std::vector<float> question(std::mt19937& random) {
  std::mt19937 centre(random() % 2000);
  std::normal_distribution<float> normal;
  std::vector<float> out(kDimensions);
  float square = 0;
  for (float& value : out) {
    value = normal(centre) + 0.6F * normal(random);
    square += value * value;
  }
  for (float& value : out) value /= std::sqrt(square);
  return out;
}

// Made once for each size, as a graph takes a while.
VectorIndex& index_of(size_t rows, bool graph) {
  static std::map<std::pair<size_t, bool>, std::unique_ptr<VectorIndex>> made;
  auto& index = made[{rows, graph}];
  if (!index) {
    std::mt19937 random(1);
    index = std::make_unique<VectorIndex>(kDimensions, graph ? 1 : SIZE_MAX);
    for (size_t i = 0; i < rows; ++i) index->add(i, question(random));
  }
  return *index;
}

void nearest(benchmark::State& state, bool graph) {
  const VectorIndex& index = index_of(static_cast<size_t>(state.range(0)), graph);
  std::mt19937 random(2);
  std::vector<std::vector<float>> queries;
  for (int i = 0; i < 64; ++i) queries.push_back(question(random));
  size_t next = 0;
  for (auto _ : state) benchmark::DoNotOptimize(index.nearest(queries[next++ % queries.size()], 5));
  state.counters["MB"] = static_cast<double>(index.bytes()) / 1e6;
}

void add(benchmark::State& state) {
  std::mt19937 random(3);
  VectorIndex index(kDimensions, SIZE_MAX);
  uint64_t id = 0;
  const auto vector = question(random);
  for (auto _ : state) index.add(id++, vector);
}

}  // namespace

BENCHMARK_CAPTURE(nearest, scan, false)
    ->Arg(1000)
    ->Arg(10'000)
    ->Arg(25'000)
    ->Arg(50'000)
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(nearest, graph, true)->Arg(10'000)->Arg(25'000)->Arg(50'000)->Unit(benchmark::kMicrosecond);
BENCHMARK(add)->Iterations(20'000);
BENCHMARK_MAIN();
