#include "gateway/gateway.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "base/log.h"
#include "gateway/admin.h"
#include "gateway/answer_headers.h"
#include "gateway/fetch.h"
#include "gateway/relay.h"
#include "gateway/upstreams.h"
#include "llm/error_body.h"

namespace payonce::gateway {
namespace {

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool is_ours(std::string_view path) {
  return path == "/" || path == "/healthz" || path == "/readyz" || path == "/metrics" || path.starts_with("/payonce/");
}

}  // namespace

// What a loop has of its own.
struct LoopState {
  LoopState(net::EventLoop& event_loop, const base::Gauge& connections) : loop(event_loop), upstreams(event_loop, connections) {}
  net::EventLoop& loop;
  Upstreams upstreams;
};

struct Gateway::State : std::enable_shared_from_this<Gateway::State> {
  State(Parts p, Options o) : parts(p), options(std::move(o)) {}

  void handle(std::shared_ptr<net::Exchange> exchange);
  void decide(std::shared_ptr<net::Exchange> exchange, llm::Dialect dialect, bool collapse_allowed);
  void act(std::shared_ptr<net::Exchange> exchange, llm::Dialect dialect, pipeline::Decision decision, Timing timing,
           int64_t started_us, bool collapse_allowed);
  void answer(const std::shared_ptr<net::Exchange>& exchange, const pipeline::Answer& answer, const Timing& timing, int64_t started_us);
  void refuse(net::Exchange& exchange, llm::Dialect dialect, const pipeline::Refusal& refusal);
  void load(std::shared_ptr<net::Exchange> exchange, llm::Dialect dialect, pipeline::Load load, Timing timing,
            int64_t started_us, bool collapse_allowed);
  void forward(std::shared_ptr<net::Exchange> exchange, llm::Dialect dialect, pipeline::Forward forward, Timing timing,
               int64_t started_us, bool collapse_allowed);
  void fetch(LoopState& loop, const std::shared_ptr<net::Exchange>& exchange, llm::Dialect dialect,
             pipeline::Forward forward, const std::shared_ptr<cache::Flight>& flight, const std::string& flight_key,
             std::shared_ptr<std::weak_ptr<Fetch>> slot);
  LoopState& state_of(net::EventLoop& loop);

  Parts parts;
  Options options;
  std::vector<std::unique_ptr<LoopState>> loop_states;
  cache::FlightTable flights;
  std::unique_ptr<Admin> admin;
  std::unique_ptr<net::Server> server;
  std::atomic<size_t> in_flight{0};
  std::atomic<bool> draining{false};
};

LoopState& Gateway::State::state_of(net::EventLoop& loop) {
  for (const auto& state : loop_states)
    if (&state->loop == &loop) return *state;
  return *loop_states.front();  // unreachable: every exchange belongs to one of our loops
}

void Gateway::State::handle(std::shared_ptr<net::Exchange> exchange) {
  const std::string_view path = path_of(exchange->head().target);
  if (is_ours(path)) return admin->handle(std::move(exchange));
  const llm::Dialect dialect = llm::classify(exchange->head().method, path);
  try {
    decide(exchange, dialect, true);
  } catch (const std::exception& error) {
    // The last net: an internal fault must not take the server down.
    base::log_error("request failed: {}", error.what());
    refuse(*exchange, dialect, {.status = 500, .message = "internal error in the gateway", .reason = "internal"});
  }
}

void Gateway::State::decide(std::shared_ptr<net::Exchange> exchange, llm::Dialect dialect, bool collapse_allowed) {
  const int64_t started_us = parts.clock.monotonic_us();
  const pipeline::Incoming incoming{exchange->head(), exchange->body(), dialect};
  pipeline::Decision decision = parts.pipeline.before(incoming);
  const Timing timing{.lookup_us = parts.clock.monotonic_us() - started_us};
  act(std::move(exchange), dialect, std::move(decision), timing, started_us, collapse_allowed);
}

void Gateway::State::act(std::shared_ptr<net::Exchange> exchange, llm::Dialect dialect, pipeline::Decision decision,
                         Timing timing, int64_t started_us, bool collapse_allowed) {
  if (auto* found = std::get_if<pipeline::Answer>(&decision)) return answer(exchange, *found, timing, started_us);
  if (auto* refusal = std::get_if<pipeline::Refusal>(&decision)) return refuse(*exchange, dialect, *refusal);
  if (auto* on_disk = std::get_if<pipeline::Load>(&decision))
    return load(std::move(exchange), dialect, std::move(*on_disk), timing, started_us, collapse_allowed);
  forward(std::move(exchange), dialect, std::get<pipeline::Forward>(std::move(decision)), timing, started_us,
          collapse_allowed);
}

void Gateway::State::answer(const std::shared_ptr<net::Exchange>& exchange, const pipeline::Answer& answer,
                            const Timing& timing, int64_t started_us) {
  net::ResponseHead head;
  head.headers.reserve(384);
  head.headers.add("Content-Type", answer.content_type);
  add_hit_headers(head.headers, answer, timing);
  if (options.replay_pace && answer.prepared->stream && !answer.entry->pace_ms.empty())
    return PacedReplay::start(exchange, std::move(head), answer);
  const size_t size_bytes = answer.body.size();
  exchange->respond(std::move(head), answer.body);
  observe(*exchange, answer.prepared.get(), 200, "hit", timing, started_us, size_bytes);
}

void Gateway::State::refuse(net::Exchange& exchange, llm::Dialect dialect, const pipeline::Refusal& refusal) {
  net::ResponseHead head{.status = refusal.status};
  head.headers.add("Content-Type", "application/json");
  if (refusal.retry_after_s > 0) head.headers.add("Retry-After", std::to_string(refusal.retry_after_s));
  if (refusal.reason == "only_if_cached") head.headers.add("Cache-Status", "payonce; fwd=miss; detail=only-if-cached");
  parts.metrics.counter("payonce_rejected_total", {{"reason", std::string(refusal.reason)}}).add();
  exchange.respond(std::move(head), base::Bytes(llm::error_body(dialect, refusal.status, refusal.message)));
}

void Gateway::State::load(std::shared_ptr<net::Exchange> exchange, llm::Dialect dialect, pipeline::Load load,
                          Timing timing, int64_t started_us, bool collapse_allowed) {
  auto self = shared_from_this();
  net::EventLoop& loop = exchange->loop();
  auto shared_load = std::make_shared<pipeline::Load>(std::move(load));
  auto job = [self, &loop, exchange, dialect, shared_load, timing, started_us, collapse_allowed] {
    auto decision = std::make_shared<pipeline::Decision>(self->parts.pipeline.load(*shared_load));
    loop.post([self, exchange, dialect, decision, timing, started_us, collapse_allowed]() mutable {
      timing.lookup_us = self->parts.clock.monotonic_us() - started_us;
      self->act(exchange, dialect, std::move(*decision), timing, started_us, collapse_allowed);
    });
  };
  if (parts.pool.post(std::move(job))) return;
  act(std::move(exchange), dialect, parts.pipeline.without_load(*shared_load), timing, started_us, collapse_allowed);
}

void Gateway::State::forward(const std::shared_ptr<net::Exchange>& exchange, llm::Dialect dialect,
                             pipeline::Forward forward, Timing timing, int64_t started_us, bool collapse_allowed) {
  if (in_flight.load(std::memory_order_relaxed) >= options.max_in_flight)
    return refuse(*exchange, dialect,
                  {.status = 429,
                   .message = fmt::format("{} requests are waiting for upstreams already (limits.max_in_flight)",
                                          options.max_in_flight),
                   .reason = "limit",
                   .retry_after_s = 1});
  const pipeline::PreparedPtr prepared = forward.prepared;
  const auto slot = std::make_shared<std::weak_ptr<Relay>>();
  const cache::Flight::Wake wake = Relay::wake_for(exchange->loop(), slot);
  // Whole answers of known dialects are kept, to be stored and to read their usage; others only pass.
  const cache::Flight::Options flight_options{.keep = prepared != nullptr};
  const bool collapse = forward.collapse && collapse_allowed;
  std::string flight_key;
  cache::FlightTable::Joined joined;
  if (forward.collapse) {
    flight_key = prepared->key + (prepared->stream ? (prepared->include_usage ? "|su" : "|s") : "|j");
    joined = flights.join_or_lead(flight_key, flight_options, wake);
    if (!joined.leader) parts.pipeline.count_collapsed();
  } else {
    joined.flight = std::make_shared<cache::Flight>(flight_options);
    joined.reader = joined.flight->join(wake).value();
    joined.leader = true;
  }
  in_flight.fetch_add(1, std::memory_order_relaxed);

  Relay::Options relay_options{.dialect = dialect};
  relay_options.status = {.why = forward.why, .collapsed = !joined.leader};
  relay_options.timing = timing;
  relay_options.started_us = started_us;
  relay_options.now_us = [this] { return parts.clock.monotonic_us(); };
  if (!joined.leader && collapse)
    relay_options.again = [self = shared_from_this(), dialect](std::shared_ptr<net::Exchange> again) {
      self->in_flight.fetch_sub(1, std::memory_order_relaxed);
      self->decide(std::move(again), dialect, false);
    };
  relay_options.done = [self = shared_from_this(), exchange_view = exchange.get(), prepared, started_us](
                           int status, const MissStatus& miss, const Timing& spent) {
    self->in_flight.fetch_sub(1, std::memory_order_relaxed);
    self->observe(*exchange_view, prepared.get(), status, pipeline::forwarded_name(miss.why), spent, started_us);
  };
  const auto relay = std::make_shared<Relay>(exchange, joined.flight, std::move(relay_options));
  *slot = relay;
  relay->attach(joined.reader);
  if (joined.leader) fetch(exchange, dialect, std::move(forward), joined.flight, flight_key);
}

void Gateway::State::fetch(const std::shared_ptr<net::Exchange>& exchange, llm::Dialect dialect,
                           pipeline::Forward forward, const std::shared_ptr<cache::Flight>& flight,
                           const std::string& flight_key) {
  LoopState& loop = state_of(exchange->loop());
  Fetch::Job job{.forward = std::move(forward), .head = exchange->head(), .body = exchange->body(), .dialect = dialect};
  Fetch::Hooks hooks;
  hooks.record = [this](const pipeline::Forward& what, pipeline::Recorded recorded) {
    return parts.pipeline.after(what, std::move(recorded));
  };
  hooks.post_to_pool = [this](std::function<void()> job_for_pool) { return parts.pool.post(std::move(job_for_pool)); };
  if (!flight_key.empty())
    hooks.ended = [self = shared_from_this(), flight_key, raw = flight.get()] { self->flights.remove(flight_key, raw); };
  hooks.count_error = [this](const std::string& upstream, const std::string& code) {
    parts.metrics.counter("payonce_upstream_errors_total", {{"upstream", upstream}, {"code", code}}).add();
  };
  const auto call = std::make_shared<Fetch>(loop.loop, loop.upstreams, parts.clock, flight, std::move(job), std::move(hooks));
  flight->on_abandoned([weak = std::weak_ptr<Fetch>(call)] {
    if (const auto alive = weak.lock()) alive->cancel();
  });
  call->start();
}

}  // namespace payonce::gateway
