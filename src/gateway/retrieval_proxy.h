// The way to the vector stores: requests below a store's prefix are its own. Queries are answered from the retrieval
// cache or sent on and kept; everything else passes through as it is, and a write makes the lists before it void.
// Threads: handle() on the loop of the exchange.  Owner: the gateway; the stage outlives it.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "gateway/upstreams.h"
#include "net/server.h"
#include "pipeline/pipeline.h"
#include "retrieval/retrieval_stage.h"
#include "route/routes.h"

namespace payonce::gateway {

struct VectorStore {
  retrieval::StoreRules rules;
  std::string prefix;           // "/retrieval/NAME", without a slash at the end
  route::UpstreamPtr upstream;  // its base URL is anthropic_base_url, or it is local
};

class RetrievalProxy : public std::enable_shared_from_this<RetrievalProxy> {
 public:
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    pipeline::Pipeline& pipeline;  // for its policy: who calls
    retrieval::RetrievalStage& stage;
  };
  RetrievalProxy(Parts parts, std::vector<VectorStore> stores, size_t max_in_flight);

  // Null: the path belongs to no store.
  const VectorStore* store_of(std::string_view target) const;
  // `done`: once, with the status as sent and hit, miss, bypass or refused.
  using Done = std::function<void(int status, std::string_view cache)>;
  void handle(const std::shared_ptr<net::Exchange>& exchange, const VectorStore& store, Upstreams& upstreams,
              Done done);

  const std::vector<VectorStore>& stores() const { return stores_; }
  retrieval::RetrievalStage& stage() { return parts_.stage; }

 private:
  struct Visit;
  void query(const std::shared_ptr<Visit>& visit, retrieval::Classified classified);
  void decided(const std::shared_ptr<Visit>& visit, const retrieval::AskedPtr& asked, retrieval::Outcome outcome);
  void answer(const std::shared_ptr<Visit>& visit, retrieval::Outcome outcome);
  void fetch(const std::shared_ptr<Visit>& visit, const retrieval::AskedPtr& asked);
  void pass(const std::shared_ptr<Visit>& visit, const retrieval::Classified& classified);
  void refuse(const std::shared_ptr<Visit>& visit, int status, std::string_view message, std::string_view reason);
  void send(const std::shared_ptr<Visit>& visit, bool readable, std::shared_ptr<class StoreCall> call);
  void count(const VectorStore& store, std::string_view outcome) const;

  const Parts parts_;
  const std::vector<VectorStore> stores_;
  const size_t max_in_flight_;
  std::atomic<size_t> in_flight_{0};
};

}  // namespace payonce::gateway
