// The pipeline that would have served a log, on a clock of its own: store, semantic layer, prefix layer and routes
// put together as `payonce serve` does it, without a socket or a file. Threads: one. Nothing here waits, and equal
// calls in an equal order give equal results.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "audit/inline_embedder.h"
#include "audit/options.h"
#include "base/clock.h"
#include "base/env.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "pipeline/pipeline.h"

namespace payonce::audit {

// Which models were asked for at which provider, by its id ("": not known, then host and model decide).
using ModelsOf = std::map<std::string, std::set<std::string>>;

class Stack {
 public:
  // `embedder` null: no semantic layer; else it outlives the stack.
  Stack(const Options& options, const ModelsOf& models, InlineEmbedder* embedder);
  ~Stack();

  base::FakeClock& clock() { return clock_; }
  pipeline::Pipeline& pipeline() { return *pipeline_; }
  semantic::SemanticCache* semantic() { return semantic_.get(); }  // null: no such layer

 private:
  base::FakeClock clock_{0};
  base::Metrics metrics_;
  base::PosixEnv env_;
  base::WorkerPool pool_;
  std::unique_ptr<cache::ResponseStore> store_;
  record::Ledger ledger_;
  route::Limits limits_;
  std::unique_ptr<semantic::PairJudge> judge_;
  std::unique_ptr<semantic::SemanticCache> semantic_;
  std::unique_ptr<pipeline::SemanticStage> semantic_stage_;
  std::unique_ptr<pipeline::PrefixStage> prefix_;
  std::unique_ptr<pipeline::Pipeline> pipeline_;
};

// The row of docs/providers.md that a log's word for a provider means: its id, or what other systems call it
// ("bedrock", "azure", "vertex_ai", …). Empty: none, then model and dialect decide.
std::string provider_id(std::string_view logged, std::string_view model);

}  // namespace payonce::audit
