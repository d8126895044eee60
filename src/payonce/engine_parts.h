// The engine with all that it is made of, built from the settings in order and taken down in reverse.
// Threads: make() any, once; the parts as their headers say.  Owner: LocalEngine.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/worker_pool.h"
#include "config/settings.h"
#include "engine/api/api.h"
#include "engine/engine.h"
#include "engine/model/chat_template.h"
#include "engine/model/model.h"
#include "engine/model/vocab.h"
#include "kv/block_store.h"
#include "payonce/pool_sizes.h"

namespace payonce {

class EngineParts {
 public:
  struct Surroundings {  // outlive the parts
    const base::Clock& clock;
    base::Metrics& metrics;
    base::Env& env;
    base::Env& data;  // the data directory's files
  };
  // What can be told before anything is loaded, quickly: the header of the model's file, what its blocks cost.
  static base::Result<engine::Model::Probe> probe(const config::Settings& settings);
  // `kv_directory`: of the disk tier; empty: none. Loads the weights: takes a while.
  static base::Result<std::unique_ptr<EngineParts>> make(const config::Settings& settings,
                                                         const engine::Model::Probe& probe,
                                                         const std::string& kv_directory, Surroundings around);

  engine::Api& api() { return *api_; }
  const engine::Engine& engine() const { return *engine_; }

 private:
  EngineParts() = default;

  PoolSizes sizes_;
  std::unique_ptr<engine::Model> model_;
  std::unique_ptr<engine::Vocab> vocab_;
  std::unique_ptr<engine::ChatTemplate> chat_;
  std::unique_ptr<kv::BlockStore> store_;  // null: no tier behind the pool
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<base::WorkerPool> pool_;  // templates and tokenizing, which a caller waits for
  std::unique_ptr<engine::Api> api_;
};

}  // namespace payonce
