// The endpoints of Payonce itself: /healthz, /readyz, /metrics, / (the dashboard) and /payonce/v1/… (cache look-ups,
// purge, stats, events). A caller sees and purges what is of its own scope; the bearer of the admin token, or of a
// local session (dashboard/guard.h), what is of any. entries_admin.cc, dashboard_admin.cc,
// stats_admin.cc and agent_admin.cc hold parts of it.
// Threads: any loop.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "agent/api/agent_api.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "cache/response_store.h"
#include "dashboard/event_feed.h"
#include "dashboard/guard.h"
#include "dashboard/recent_requests.h"
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

// Who may read /metrics, which tells sums of all scopes: the admin always, and who sits on this machine, or
// everybody.
enum class MetricsAccess : uint8_t { kAdmin, kLocal, kAll };

class Admin {
 public:
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    base::WorkerPool& pool;
    cache::ResponseStore& store;
    record::Ledger& ledger;
    pipeline::Pipeline& pipeline;
    agent::AgentApi& agent;
    const dashboard::RecentRequests& recent;
    RetrievalProxy* retrieval = nullptr;             // null: no vector stores
    pipeline::KeepAliveStage* keep_alive = nullptr;  // null: no prefix layer
  };
  struct Options {
    dashboard::Guard::Options guard;  // who is admin
    MetricsAccess metrics_access = MetricsAccess::kLocal;
    std::function<bool()> ready;                // /readyz
    std::function<void()> before_scrape;        // refreshes gauges
    std::function<std::string()> engine_stats;  // of an engine inside, a JSON object; null: none
  };
  Admin(Parts parts, Options options);
  void handle(std::shared_ptr<net::Exchange> exchange);
  // A page of another site asks the data plane, and has no credential; see Guard.
  bool is_foreign_page(const net::RequestHead& head) const;
  void stop();  // ends the streams of events, which would end with their clients only

 private:
  void reply_text(net::Exchange& exchange, int status, std::string_view type, std::string body);
  void reply_json(net::Exchange& exchange, int status, std::string body);
  void reply_error(net::Exchange& exchange, int status, std::string_view message);
  void route(const std::shared_ptr<net::Exchange>& exchange, std::string_view path, std::string_view query);
  // The scope that the caller may see; "" with `all`: every scope. False: answered (401, 429).
  bool visible_scope(net::Exchange& exchange, std::string* scope, bool* all);
  bool is_admin(net::Exchange& exchange);  // false: answered
  void list_entries(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  void get_entry(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  void explain(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  void prefix_layer(const std::shared_ptr<net::Exchange>& exchange, bool breakers);
  void feedback(const std::shared_ptr<net::Exchange>& exchange);
  void invalidate(const std::shared_ptr<net::Exchange>& exchange);
  void purge(const std::shared_ptr<net::Exchange>& exchange);
  void call_agent_api(const std::shared_ptr<net::Exchange>& exchange, agent::Verb verb);
  void explain_agent_entry(const std::shared_ptr<net::Exchange>& exchange, const std::string& id, bool all);
  void add_agent_kinds(boost::json::object& layers) const;
  void savings(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  void metrics(const std::shared_ptr<net::Exchange>& exchange);
  void stats(const std::shared_ptr<net::Exchange>& exchange);
  std::string stats_json() const;
  std::string scope_stats_json(const std::string& scope) const;
  void session(const std::shared_ptr<net::Exchange>& exchange);
  void requests(const std::shared_ptr<net::Exchange>& exchange, std::string_view query);
  void events(const std::shared_ptr<net::Exchange>& exchange);
  void last_hour(const std::shared_ptr<net::Exchange>& exchange);
  void upstreams(const std::shared_ptr<net::Exchange>& exchange);

  Parts parts_;
  Options options_;
  dashboard::Guard guard_;
  dashboard::EventFeed feed_;
};

}  // namespace payonce::gateway
