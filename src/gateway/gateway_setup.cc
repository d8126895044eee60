// Gateway: how it is put together, begins and ends.
#include <algorithm>
#include <atomic>
#include <utility>

#include "gateway/gateway.h"
#include "gateway/state.h"
#include "llm/error_body.h"

namespace payonce::gateway {

Gateway::Gateway(Parts parts, Options options) : state_(std::make_shared<State>(parts, std::move(options))) {
  State& state = *state_;
  const base::Gauge upstream_connections = parts.metrics.gauge("payonce_connections", {{"side", "upstream"}});
  for (size_t i = 0; i < parts.loops.size(); ++i)
    state.loop_states.push_back(std::make_unique<LoopState>(parts.loops[i], parts, upstream_connections));
  Admin::Options admin;
  admin.guard = {.admin_token = state.options.admin_token,
                 .on_loopback = state.options.on_loopback,
                 .local_sessions = state.options.local_sessions,
                 .hosts = state.options.hosts};
  admin.metrics_access = state.options.metrics_access;
  admin.ready = [raw = state_.get()] { return !raw->draining && raw->options.upstream_ready(); };
  admin.engine_stats = state.options.engine_stats;
  admin.before_scrape = [&pool = parts.pool, &pipeline = parts.pipeline, &agent = parts.agent,
                         gauge = parts.metrics.gauge("payonce_worker_queue")] {
    gauge.set(static_cast<double>(pool.queued()));
    if (const pipeline::SemanticStage* semantic = pipeline.semantic()) semantic->show();
    agent.cache().show();
  };
  if (parts.retrieval != nullptr)
    state.retrieval = std::make_shared<RetrievalProxy>(
        RetrievalProxy::Parts{parts.clock, parts.metrics, parts.pipeline, *parts.retrieval}, state.options.stores,
        state.options.max_in_flight);
  if (parts.keep_alive != nullptr)
    state.pinger = std::make_shared<Pinger>(
        Pinger::Parts{parts.loops[0], state.loop_states.front()->upstreams, parts.pool, *parts.keep_alive,
                      [&pipeline = parts.pipeline] { return pipeline.policy(); }});
  state.admin = std::make_unique<Admin>(
      Admin::Parts{parts.clock, parts.metrics, parts.pool, parts.store, parts.ledger, parts.pipeline, parts.agent,
                   state.recent, state.retrieval.get(), parts.keep_alive},
      std::move(admin));
  net::Server::Options server = state.options.server;
  server.error = [](int status, std::string_view message, std::string_view target) {
    return base::Bytes(llm::error_body(llm::classify("POST", target.substr(0, target.find('?'))), status, message));
  };
  server.connections = parts.metrics.gauge("payonce_connections", {{"side", "client"}});
  state.server = std::make_unique<net::Server>(
      parts.loops, std::move(server), [weak = std::weak_ptr<State>(state_)](std::shared_ptr<net::Exchange> exchange) {
        if (const auto alive = weak.lock()) alive->handle(std::move(exchange));
      });
}

void LoopState::keep(const std::shared_ptr<Fetch>& call) {
  if (calls.size() >= prune_at) {
    std::erase_if(calls, [](const std::weak_ptr<Fetch>& known) { return known.expired(); });
    prune_at = std::max<size_t>(64, 2 * calls.size());
  }
  calls.push_back(call);
}

void LoopState::cancel_calls() {
  for (const std::weak_ptr<Fetch>& call : calls)
    if (const auto alive = call.lock()) alive->cancel();
  calls.clear();
}

Gateway::~Gateway() = default;

base::Status Gateway::start() {
  PAYONCE_CHECK_OK(state_->server->start());
  if (state_->pinger) state_->pinger->start();
  return {};
}

uint16_t Gateway::port() const { return state_->server->port(); }

void Gateway::drain(int64_t deadline_ms, std::function<void()> done) {
  state_->draining = true;
  if (state_->pinger) state_->pinger->stop();
  state_->admin->stop();
  state_->server->drain(deadline_ms, [state = state_, done = std::move(done)] {
    const auto left = std::make_shared<std::atomic<size_t>>(state->loop_states.size());
    for (const auto& each : state->loop_states)
      each->loop.post([state, &of_loop = *each, left, done] {
        of_loop.cancel_calls();
        if (--*left == 0) done();
      });
  });
}

}  // namespace payonce::gateway
