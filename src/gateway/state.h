// What a Gateway is made of; for its own files alone (gateway.cc: a request's way, gateway_setup.cc: its life).
// Threads: as Gateway's.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "gateway/admin.h"
#include "gateway/capture.h"
#include "gateway/fetch.h"
#include "gateway/gateway.h"
#include "gateway/observer.h"
#include "gateway/pinger.h"
#include "gateway/relay.h"
#include "gateway/tokenizer.h"
#include "gateway/upstreams.h"

namespace payonce::gateway {

// What a loop has of its own.
struct LoopState {
  LoopState(net::EventLoop& event_loop, const Gateway::Parts& parts, const base::Gauge& connections)
      : loop(event_loop),
        upstreams(event_loop, connections),
        tokenizer(event_loop, upstreams, parts.pipeline, parts.clock, parts.metrics) {}
  void keep(const std::shared_ptr<Fetch>& call);
  // Those that are under way, also where no client waits: calls and fetches hold each other until they end.
  void cancel_calls();

  net::EventLoop& loop;
  Upstreams upstreams;
  Tokenizer tokenizer;
  std::vector<std::weak_ptr<Fetch>> calls;  // with some that have ended
  size_t prune_at = 64;
};

// One request on its way.
struct Visit {
  std::shared_ptr<net::Exchange> exchange;
  RequestInfo info;
  Timing timing;
  bool first = true;  // false: asks again after the leader of its flight failed
};

struct Gateway::State : std::enable_shared_from_this<Gateway::State> {
  State(Parts p, Options o)
      : parts(p),
        options(std::move(o)),
        recent(p.clock.unix_ms()),
        observer(p.clock, p.metrics, {.log_requests = options.log_requests, .tracer = p.tracer, .recent = &recent}),
        capture(p.clock, p.recorder) {}

  void handle(std::shared_ptr<net::Exchange> exchange);
  void handle_store(std::shared_ptr<net::Exchange> exchange, const VectorStore& store);
  void describe(Visit& visit) const;
  void decide(Visit visit);
  void act(Visit visit, pipeline::Decision decision);
  void answer(Visit visit, pipeline::Answer answer);
  void refuse_at_the_door(const std::shared_ptr<net::Exchange>& exchange, int status, std::string_view message);
  void refuse(const Visit& visit, const pipeline::Refusal& refusal);
  void load(Visit visit, pipeline::Load load);
  void search(Visit visit, pipeline::Search search);
  void ask_again(const Visit& visit, pipeline::Forward forward);
  void ask_tokens(Visit visit, pipeline::Forward forward);
  void forward(Visit visit, pipeline::Forward forward);
  cache::FlightTable::Joined board(const pipeline::Forward& forward, const cache::Flight::Wake& wake,
                                   std::string& flight_key);
  void fetch(const Visit& visit, pipeline::Forward forward, const std::shared_ptr<cache::Flight>& flight,
             const std::string& flight_key, const std::shared_ptr<pipeline::Judged>& judged);
  LoopState& state_of(const net::EventLoop& loop);

  Parts parts;
  Options options;
  dashboard::RecentRequests recent;
  Observer observer;
  const Capture capture;
  std::vector<std::unique_ptr<LoopState>> loop_states;
  cache::FlightTable flights;
  std::shared_ptr<RetrievalProxy> retrieval;  // null: no vector stores
  std::shared_ptr<Pinger> pinger;             // null: no prefix layer
  std::unique_ptr<Admin> admin;
  std::unique_ptr<net::Server> server;
  std::atomic<size_t> in_flight{0};
  std::atomic<bool> draining{false};
};

}  // namespace payonce::gateway
