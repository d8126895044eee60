// The scheduler's metrics, looked up once. Internal to engine.
#pragma once

#include "engine/scheduler.h"

namespace payonce::engine {

struct Scheduler::Handles {
  explicit Handles(base::Metrics& metrics);
  void set(const EngineStats& stats, uint64_t sliding_evictions);
  void step(int32_t prefill_tokens, int32_t decodes, int64_t duration_us);
  void request(const EngineUsage& usage);

  base::Gauge free, used, cached, running, waiting;
  base::Counter hit_tokens, evictions_full, evictions_sliding, preemptions, prompt, computed, output;
  base::Histogram prefill, decode, mixed;
  uint64_t seen_evictions = 0, seen_sliding_evictions = 0, seen_preemptions = 0;
};

}  // namespace payonce::engine
