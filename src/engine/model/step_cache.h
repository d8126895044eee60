// Graphs of steps that were computed lately, ready to be computed again: building and laying one out takes about as
// long as a small model's decode step.
// Threads: one.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>

#include "engine/model/graph.h"
#include "engine/model/kv_pools.h"

namespace payonce::engine {

class StepCache {
 public:
  struct Key {
    int64_t rows = 0, outputs = 0;
    GraphShape shape;
    bool operator==(const Key&) const = default;
  };
  struct Step {
    Key key;
    StepGraph graph;
    std::unique_ptr<GraphInputs> inputs;
    size_t bytes = 0;  // of the graph; its tensors' values lie in memory that all share (tensor_memory.h)
  };
  // The step of that shape, made by `make` if it is not there. Valid until the next call.
  base::Result<Step*> get(const Key& key, const std::function<base::Result<Step>()>& make);

 private:
  std::list<Step> steps_;  // latest first
};

}  // namespace payonce::engine
