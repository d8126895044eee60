// The endpoints of Payonce itself: /healthz, /readyz, /metrics, / (status page) and /payonce/v1/… (cache look-ups,
// purge, stats). A caller sees and purges entries of its own scope; the bearer of the admin token, of every scope.
// Threads: any loop.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "cache/response_store.h"
#include "net/server.h"
#include "pipeline/keep_alive_stage.h"
#include "pipeline/pipeline.h"
#include "record/ledger.h"

namespace payonce::gateway {

class RetrievalProxy;

struct Endpoint {
  std::string_view method;
  std::string_view path;
  std::string_view help;
};
// One table: which paths there are, and docs/operations/endpoints.md.
std::span<const Endpoint> endpoint_table();

class Admin {
 public:
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    base::WorkerPool& pool;
    cache::ResponseStore& store;
    record::Ledger& ledger;
    pipeline::Pipeline& pipeline;
    RetrievalProxy* retrieval = nullptr;             // null: no vector stores
    pipeline::KeepAliveStage* keep_alive = nullptr;  // null: no prefix layer
  };
  struct Options {
    std::string token;                          // empty: nobody is admin
    std::function<bool()> ready;                // /readyz
    std::function<void()> before_scrape;        // refreshes gauges
    std::function<std::string()> engine_stats;  // of an engine inside, a JSON object; null: none
  };
  Admin(Parts parts, Options options);
  void handle(std::shared_ptr<net::Exchange> exchange);

 private:
  void reply_text(net::Exchange& exchange, int status, std::string_view type, std::string body);
  void reply_json(net::Exchange& exchange, int status, std::string body);
  void reply_error(net::Exchange& exchange, int status, std::string_view message);
  // The scope that the caller may see; "" with `all`: every scope. False: answered (401).
  bool visible_scope(net::Exchange& exchange, std::string* scope, bool* all);
  void list_entries(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  void get_entry(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  void explain(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  void prefix_layer(const std::shared_ptr<net::Exchange>& exchange, bool breakers);
  void feedback(const std::shared_ptr<net::Exchange>& exchange);
  void invalidate(const std::shared_ptr<net::Exchange>& exchange);
  void purge(const std::shared_ptr<net::Exchange>& exchange);
  void savings(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  std::string stats_json() const;

  Parts parts_;
  Options options_;
};

}  // namespace payonce::gateway
