// The agent layer of an instance, put together: cache, API, the pool that its look-ups wait for, the Unix socket.
// Threads: construction, start() and destruction main's.  Owner: Instance. Destroyed after the loops have stopped and
// the embedder has answered what waited in it.
#pragma once

#include <memory>
#include <string>

#include "agent/agent_cache.h"
#include "agent/api/agent_api.h"
#include "agent/api/socket_server.h"
#include "agent/meaning.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "cache/response_store.h"
#include "config/settings.h"
#include "net/event_loop.h"
#include "pipeline/pipeline.h"
#include "record/ledger.h"

namespace payonce {

class AgentLayer {
 public:
  struct Surroundings {
    const base::Clock& clock;
    base::Metrics& metrics;
    cache::ResponseStore& store;
    record::Ledger& ledger;
    pipeline::Pipeline& pipeline;
    net::EventLoops& loops;
  };
  AgentLayer(const config::Settings& settings, Surroundings around);
  ~AgentLayer();

  // Reads the index from the store, in its own time, and opens the socket. A socket that cannot be had is logged: the
  // same calls come over HTTP.
  void start(uint16_t port);
  agent::AgentApi& api() { return api_; }

 private:
  const Surroundings around_;
  const std::string socket_setting_;
  base::WorkerPool pool_;
  std::unique_ptr<agent::Meaning> meaning_;  // null: no semantic layer
  agent::AgentCache cache_;
  agent::AgentApi api_;
  std::unique_ptr<agent::SocketServer> socket_;  // null: none
};

}  // namespace payonce
