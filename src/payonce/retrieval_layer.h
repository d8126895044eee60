// The retrieval cache of an instance, put together: judge, stage, searches of PostgreSQL, and the stores as the
// gateway knows them. Threads: construction and destruction main's.  Owner: Instance, which destroys the embedder
// first: what still waits in it is answered into the stage.
#pragma once

#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "config/settings.h"
#include "embed/embedder.h"
#include "gateway/retrieval_proxy.h"
#include "retrieval/postgres/search_service.h"
#include "retrieval/retrieval_stage.h"
#include "semantic/pair_judge.h"

namespace payonce {

class RetrievalLayer {
 public:
  // `embedder`: null: no paraphrases.
  RetrievalLayer(const config::Settings& settings, embed::Embedder* embedder, const base::Clock& clock,
                 base::Metrics& metrics);

  retrieval::RetrievalStage& stage() { return stage_; }
  const std::vector<gateway::VectorStore>& stores() const { return stores_; }

 private:
  std::unique_ptr<semantic::PairJudge> judge_;  // null: no embedder
  retrieval::RetrievalStage stage_;
  std::vector<std::unique_ptr<retrieval::SearchService>> services_;  // of the stores that are PostgreSQL
  std::vector<gateway::VectorStore> stores_;
};

// Whether the settings name a store whose paraphrases need an embedder.
bool wants_paraphrases(const config::Settings& settings);

}  // namespace payonce
