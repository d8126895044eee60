// The seam between a model's step and how its keys and values are kept: pages on the CPU (paged_attention.h), or rows
// on a device that are gathered before its own attention (gathered_attention.h).
// Threads: one.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/model/batch.h"
#include "engine/model/graph.h"

namespace payonce::engine {

struct KvSizes {
  int32_t full_blocks = 0, sliding_blocks = 0;
  KvType type = KvType::kF16;
};

// What of a batch's make-up a graph depends on, besides its rows and output rows. Empty for pages.
struct GraphShape {
  std::vector<int32_t> numbers;
  auto operator<=>(const GraphShape&) const = default;
};

// A graph's own inputs of its attention nodes.
struct GraphInputs {
  virtual ~GraphInputs() = default;
};

class KvPools {
 public:
  virtual ~KvPools() = default;

  virtual AttentionNodes& nodes() = 0;
  virtual size_t nodes_per_layer(const GraphShape& shape) const = 0;
  virtual GraphShape shape_of(const Batch& batch) const = 0;
  // Before a graph is built with nodes(); what it gives belongs to that graph. Null: none.
  virtual std::unique_ptr<GraphInputs> begin_build(const GraphShape& shape) = 0;
  // Before a graph is computed.
  virtual void begin_step(const Batch& batch, GraphInputs* inputs) = 0;

  virtual size_t block_bytes(Pool pool) const = 0;
  virtual void copy_block(Pool pool, int32_t from, int32_t to) = 0;
  virtual void export_block(Pool pool, int32_t block, std::span<std::byte> out) const = 0;
  virtual void import_block(Pool pool, int32_t block, std::span<const std::byte> bytes) = 0;
  virtual const char* layout() const = 0;  // names how a block's bytes are arranged
};

}  // namespace payonce::engine
