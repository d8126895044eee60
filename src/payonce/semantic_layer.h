// The semantic layer of an instance, put together: judge, question log, cache, stage.
// Threads: construction and destruction main's.  Owner: Instance, which destroys the embedder first: what still waits
// in it is answered into the stage.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "config/settings.h"
#include "embed/embedder.h"
#include "pipeline/semantic_stage.h"
#include "semantic/question_log.h"
#include "semantic/semantic_cache.h"

namespace payonce {

class SemanticLayer {
 public:
  struct Surroundings {
    const base::Clock& clock;
    base::Env& env;
    base::WorkerPool& pool;
    base::Metrics& metrics;
    cache::ResponseStore& store;
  };
  // `directory`: where questions are kept over a restart; empty: nowhere.
  SemanticLayer(const config::Settings& settings, const std::string& directory, embed::Embedder& embedder,
                Surroundings around);

  pipeline::SemanticStage& stage() { return stage_; }

 private:
  std::unique_ptr<semantic::PairJudge> judge_;
  std::unique_ptr<semantic::QuestionLog> log_;  // null: none
  semantic::SemanticCache cache_;
  pipeline::SemanticStage stage_;
};

// Whether the settings name the layer.
bool wants_semantic(const config::Settings& settings);

}  // namespace payonce
