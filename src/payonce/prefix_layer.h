// The prefix layer of an instance: its stage, and what it learned kept in DIR/prefix.state.
// Threads: one (main's); saving on the worker pool.  Owner: the instance.
#pragma once

#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "config/settings.h"
#include "pipeline/policy.h"
#include "pipeline/prefix_stage.h"

namespace payonce {

bool wants_prefix(const config::Settings& settings);
pipeline::Policy::Prefix prefix_policy(const config::Settings& settings);

class PrefixLayer {
 public:
  struct Surroundings {
    const base::Clock& clock;
    base::Env& env;
    base::WorkerPool& pool;
    base::Metrics& metrics;
  };
  // `directory` empty: nothing is kept. `seed`: of the hashes that are kept, so of that directory.
  PrefixLayer(const std::string& directory, const std::string& seed, uint64_t max_memory_bytes, Surroundings around);
  ~PrefixLayer();  // saves; the pool has been drained

  pipeline::PrefixStage& stage() { return stage_; }

 private:
  void save();

  Surroundings around_;
  const std::string path_;  // empty: none
  std::mutex saving_;       // one at a time
  pipeline::PrefixStage stage_;
};

}  // namespace payonce
