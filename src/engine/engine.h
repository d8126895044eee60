// The inference engine: one thread that steps the scheduler over a model, and the calls of everyone else.
// Threads: submit(), cancel(), stats() any.  Owner: main; sinks must outlive their request's last call.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/result.h"
#include "engine/model/batch.h"
#include "engine/model/vocab.h"
#include "engine/request.h"

namespace payonce::kv {
class BlockStore;
}

namespace payonce::engine {

struct EngineOptions {
  int32_t full_blocks = 0;
  int32_t sliding_blocks = 0;  // 0: the model has no sliding layers
  int32_t window = 0;
  int32_t context_tokens = 0;                         // longest sequence, prompt and answer
  int32_t max_batch = 64;                             // sequences that decode at once
  int32_t prefill_chunk = 512;                        // prompt tokens computed in one step, all sequences together
  int32_t max_queue = 256;                            // waiting requests; more get kExhausted
  std::string root;                                   // kv::root_hash() input: model digest and layout
  std::vector<std::vector<int32_t>> public_prefixes;  // token prefixes that all tenants share (operator's choice)
};

struct EngineStats {
  int32_t blocks_free = 0, blocks_used = 0, blocks_cached = 0;  // of the full pool; their sum is the pool
  int32_t sliding_free = 0, sliding_used = 0, sliding_cached = 0;
  int32_t running = 0, waiting = 0;  // sequences; requests
  uint64_t hit_tokens = 0, prompt_tokens = 0, computed_tokens = 0, evictions = 0, preemptions = 0;
};

using RequestId = uint64_t;

class Engine {
 public:
  struct Parts {
    Executor& executor;
    const Vocab* vocab;     // null in tests without text: pieces are empty
    kv::BlockStore* store;  // null: no tier behind the pool
    const base::Clock& clock;
    base::Metrics& metrics;
  };
  Engine(Parts parts, EngineOptions options);
  ~Engine();  // cancels what runs, then joins

  // The sink's calls may come before submit() returns. An error here: the sink is never called.
  base::Result<RequestId> submit(Generate request, std::shared_ptr<Sink> sink);
  void cancel(RequestId id);  // after it at most calls that were under way
  EngineStats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace payonce::engine
