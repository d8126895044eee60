// One step's work, and who does it. The scheduler fills a Batch; an Executor runs it: the real model (model.h), or
// the simulated one of the tests, which finds any use of a block that does not hold what it should.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/ops/attention.h"

namespace payonce::engine {

// Models with a sliding window keep those layers' pages in a pool of their own, whose blocks die behind the window.
enum class Pool : uint8_t { kFull, kSliding };

struct Batch {
  std::vector<int32_t> tokens;        // [rows]
  std::vector<SequenceRows> full;     // the block tables of the full-attention pool; rows without gaps
  std::vector<SequenceRows> sliding;  // same sequences, tables of the sliding pool; empty when the model has none
  std::vector<int32_t> output_rows;   // rows whose logits are wanted, ascending
};

// Threads: one (the engine's).  Owner: Engine.
class Executor {
 public:
  virtual ~Executor() = default;
  // Stores keys and values of every row in its block, and gives the logits of the output rows, [output rows][vocab],
  // valid until the next call. kExhausted, kInternal: nothing of the batch counts as computed.
  virtual base::Result<std::span<const float>> compute(const Batch& batch) = 0;
  virtual int32_t vocab_size() const = 0;

  virtual size_t block_bytes(Pool pool) const = 0;  // all layers of the pool; 0: no such pool
  virtual void copy_block(Pool pool, int32_t from, int32_t to) = 0;
  virtual void export_block(Pool pool, int32_t block, std::span<std::byte> out) const = 0;
  virtual void import_block(Pool pool, int32_t block, std::span<const std::byte> bytes) = 0;
};

}  // namespace payonce::engine
