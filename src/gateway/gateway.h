// The gateway: HTTP in, the pipeline's two halves, HTTP out. It waits and streams; it decides nothing about caching.
// Threads: constructor, start() and drain() one thread; requests run on their loops.
// Owner: main. Everything in Parts outlives it, and the loops are stopped before it is destroyed.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "agent/api/agent_api.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "cache/exact/flight.h"
#include "cache/response_store.h"
#include "gateway/admin.h"
#include "gateway/retrieval_proxy.h"
#include "net/server.h"
#include "pipeline/keep_alive_stage.h"
#include "pipeline/pipeline.h"
#include "record/ledger.h"
#include "record/recorder.h"
#include "record/trace.h"

namespace payonce::gateway {

class Gateway {
 public:
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    base::WorkerPool& pool;
    cache::ResponseStore& store;
    record::Ledger& ledger;
    record::Tracer* tracer = nullptr;      // null: no spans
    record::Recorder* recorder = nullptr;  // null: requests are never recorded
    pipeline::Pipeline& pipeline;
    agent::AgentApi& agent;
    net::EventLoops& loops;
    retrieval::RetrievalStage* retrieval = nullptr;  // null: no vector stores
    pipeline::KeepAliveStage* keep_alive = nullptr;  // null: no prefix layer
  };
  struct Options {
    net::Server::Options server;
    std::string admin_token;         // lets its bearer see and purge every scope
    bool on_loopback = false;        // the server listens there alone
    bool local_sessions = false;     // so may the dashboard on this machine; only if on_loopback
    std::vector<std::string> hosts;  // names by which it is asked, beside those of loopback
    MetricsAccess metrics_access = MetricsAccess::kLocal;
    bool log_requests = false;
    bool replay_pace = false;                                    // a stream hit comes at its recorded pace
    size_t max_in_flight = 10'000;                               // forwarded requests at once; more get 429
    std::function<bool()> upstream_ready = [] { return true; };  // local upstream is up: for /readyz
    std::vector<VectorStore> stores;                             // behind the retrieval cache
    std::function<std::string()> engine_stats;  // of an engine inside, a JSON object: for stats; null: none inside
  };
  Gateway(Parts parts, Options options);
  ~Gateway();

  base::Status start();
  uint16_t port() const;
  // Stops accepting, lets answers in progress finish, then calls `done` on some loop; after the deadline what is left
  // is cut.
  void drain(int64_t deadline_ms, std::function<void()> done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace payonce::gateway
