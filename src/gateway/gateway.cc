#include "gateway/gateway.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "base/log.h"
#include "gateway/answer_headers.h"
#include "gateway/forwarded.h"
#include "gateway/paced_replay.h"
#include "gateway/state.h"
#include "llm/error_body.h"

namespace payonce::gateway {
namespace {

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

bool is_ours(std::string_view path) {
  return path == "/" || path == "/healthz" || path == "/readyz" || path == "/metrics" ||
         path.starts_with("/payonce/") || path.starts_with("/dashboard/");
}

}  // namespace

LoopState& Gateway::State::state_of(const net::EventLoop& loop) {
  for (const auto& state : loop_states)
    if (&state->loop == &loop) return *state;
  return *loop_states.front();  // unreachable: every exchange belongs to one of our loops
}

void Gateway::State::refuse_at_the_door(const std::shared_ptr<net::Exchange>& exchange, int status,
                                        std::string_view message) {
  Visit visit{.exchange = exchange,
              .info = {.dialect = llm::classify(exchange->head().method, exchange->head().target)}};
  describe(visit);
  refuse(visit, {.status = status, .message = std::string(message), .reason = status == 403 ? "auth" : "bad"});
}

// When it began, and for lines and spans what it is.
void Gateway::State::describe(Visit& visit) const {
  visit.info.started_us = parts.clock.monotonic_us();
  if (observer.wants_details()) {
    auto details = std::make_shared<RequestInfo::Details>();
    const net::RequestHead& head = visit.exchange->head();
    details->id = head.headers.get("x-request-id").value_or("");
    details->method = head.method;
    details->path = path_of(head.target);
    details->trace = record::continue_trace(head.headers.get("traceparent").value_or(""));
    if (details->id.empty()) details->id = details->trace.span_id;
    visit.info.details = std::move(details);
  }
}

void Gateway::State::handle(std::shared_ptr<net::Exchange> exchange) {
  const net::RequestHead& head = exchange->head();
  const std::string_view path = path_of(head.target);
  if (is_ours(path)) return admin->handle(std::move(exchange));
  if (admin->is_foreign_page(head))
    return refuse_at_the_door(
        exchange, 403,
        "a page of another site asks, without a credential: send one, or name that site's host, "
        "and the one that this instance is asked by, in `hosts`");
  if (leaves_its_place(head.target))
    return refuse_at_the_door(exchange, 400,
                              "the path has a step '.' or '..': send it as it is after resolving them");
  if (const VectorStore* store = retrieval ? retrieval->store_of(head.target) : nullptr)
    return handle_store(std::move(exchange), *store);
  Visit visit{.exchange = std::move(exchange), .info = {.dialect = llm::classify(head.method, head.target)}};
  describe(visit);
  const auto kept = visit.exchange;
  const llm::Dialect dialect = visit.info.dialect;
  try {
    decide(std::move(visit));
  } catch (const std::exception& error) {
    // The last net: an internal fault must not take the server down.
    base::log_error("request failed: {}", error.what());
    refuse({.exchange = kept, .info = {.dialect = dialect}},
           {.status = 500, .message = "internal error in the gateway", .reason = "internal"});
  }
}

void Gateway::State::handle_store(std::shared_ptr<net::Exchange> exchange, const VectorStore& store) {
  Visit visit{.exchange = std::move(exchange)};
  describe(visit);
  const auto kept = visit.exchange;
  retrieval->handle(kept, store, state_of(kept->loop()).upstreams,
                    [self = shared_from_this(), info = visit.info](int status, std::string_view cache) {
                      const std::string_view layer = cache == "hit" ? "retrieval" : "";
                      self->observer.done(info, {}, {.status = status, .cache = cache, .layer = layer});
                    });
}

void Gateway::State::decide(Visit visit) {
  const pipeline::Incoming incoming{visit.exchange->head(), visit.exchange->body(), visit.info.dialect};
  pipeline::Pipeline::Spent spent;
  spent.started_us = visit.first ? visit.info.started_us : parts.clock.monotonic_us();
  pipeline::Decision decision = parts.pipeline.before(incoming, spent);
  visit.timing.parse_us = spent.parse_us;
  visit.timing.lookup_us = spent.lookup_us;
  act(std::move(visit), std::move(decision));
}

void Gateway::State::act(Visit visit, pipeline::Decision decision) {
  if (auto* found = std::get_if<pipeline::Answer>(&decision)) return answer(std::move(visit), std::move(*found));
  if (const auto* refusal = std::get_if<pipeline::Refusal>(&decision)) return refuse(visit, *refusal);
  if (auto* on_disk = std::get_if<pipeline::Load>(&decision)) return load(std::move(visit), std::move(*on_disk));
  if (auto* to_search = std::get_if<pipeline::Search>(&decision))
    return search(std::move(visit), std::move(*to_search));
  ask_tokens(std::move(visit), std::get<pipeline::Forward>(std::move(decision)));
}

void Gateway::State::answer(Visit visit, pipeline::Answer answer) {
  if (answer.ask_again) ask_again(visit, std::move(*answer.ask_again));
  const uint64_t id = parts.pipeline.explanations().next_id();
  parts.pipeline.explanations().hit(id, answer);
  net::ResponseHead head;
  head.headers.reserve(384);
  head.headers.add("Content-Type", answer.content_type);
  add_hit_headers(head.headers, answer, visit.timing, id);
  const auto done = [this, id, begun = capture.begin(*visit.exchange, answer.prepared.get())](
                        const Visit& of, const pipeline::Answer& what, int status) {
    capture.answered(begun, of.info, what, status);
    observer.done(of.info, of.timing,
                  {.status = status,
                   .cache = "hit",
                   .prepared = what.prepared.get(),
                   .usage = what.entry->usage,
                   .usd = what.entry->cost_usd,
                   .id = id,
                   .layer = what.layer});
  };
  const bool as_recorded = answer.body.data() == answer.entry->body.data();
  if (options.replay_pace && answer.prepared->stream && as_recorded && !answer.entry->pace_ms.empty()) {
    const auto exchange = visit.exchange;
    return PacedReplay::start(exchange, std::move(head), answer,
                              [done, visit = std::move(visit), answer](int status) { done(visit, answer, status); });
  }
  visit.exchange->respond(std::move(head), answer.body);
  done(visit, answer, 200);
}

// The client has its answer from the cache; nobody reads this one.
void Gateway::State::ask_again(const Visit& visit, pipeline::Forward forward) {
  parts.pipeline.arrange(forward, visit.exchange->body());
  fetch(visit, std::move(forward), std::make_shared<cache::Flight>(cache::Flight::Options{}), "",
        std::make_shared<pipeline::Judged>());
}

void Gateway::State::refuse(const Visit& visit, const pipeline::Refusal& refusal) {
  net::ResponseHead head{.status = refusal.status};
  head.headers.add("Content-Type", "application/json");
  if (refusal.retry_after_s > 0) head.headers.add("Retry-After", std::to_string(refusal.retry_after_s));
  head.headers.add("Cache-Status", refusal.reason == "only_if_cached" ? "payonce; fwd=miss; detail=only-if-cached"
                                                                      : "payonce; fwd=request; detail=refused");
  parts.metrics.counter("payonce_rejected_total", {{"reason", std::string(refusal.reason)}}).add();
  visit.exchange->respond(std::move(head),
                          base::Bytes(llm::error_body(visit.info.dialect, refusal.status, refusal.message)));
  observer.done(visit.info, visit.timing, {.status = refusal.status, .cache = "refused", .reason = refusal.reason});
}

void Gateway::State::load(Visit visit, pipeline::Load load) {
  auto self = shared_from_this();
  net::EventLoop& loop = visit.exchange->loop();
  const auto what = std::make_shared<pipeline::Load>(std::move(load));
  const auto who = std::make_shared<Visit>(std::move(visit));
  const bool queued = parts.pool.post([self, &loop, who, what] {
    const int64_t started_us = self->parts.clock.monotonic_us();
    auto decision = std::make_shared<pipeline::Decision>(self->parts.pipeline.load(*what));
    who->timing.lookup_us += self->parts.clock.monotonic_us() - started_us;
    loop.post([self, who, decision] { self->act(std::move(*who), std::move(*decision)); });
  });
  if (!queued) act(std::move(*who), parts.pipeline.without_load(*what));
}

void Gateway::State::search(Visit visit, pipeline::Search search) {
  net::EventLoop& loop = visit.exchange->loop();
  const auto who = std::make_shared<Visit>(std::move(visit));
  const int64_t started_us = parts.clock.monotonic_us();
  parts.pipeline.search(search, [self = shared_from_this(), &loop, who, started_us](pipeline::Decision decision) {
    const auto what = std::make_shared<pipeline::Decision>(std::move(decision));
    loop.post([self, who, what, started_us] {
      who->timing.lookup_us =
          std::max<int64_t>(who->timing.lookup_us, 0) + self->parts.clock.monotonic_us() - started_us;
      self->act(std::move(*who), std::move(*what));
    });
  });
}

// Where engines tell what they hold, it waits a little to learn which tokens it is.
void Gateway::State::ask_tokens(Visit visit, pipeline::Forward forward) {
  auto question = parts.pipeline.token_question(forward, visit.exchange->body());
  if (!question) return this->forward(std::move(visit), std::move(forward));
  const auto held = std::make_shared<std::pair<Visit, pipeline::Forward>>(std::move(visit), std::move(forward));
  Tokenizer& tokenizer = state_of(held->first.exchange->loop()).tokenizer;
  tokenizer.ask(
      *std::move(question), held->first.exchange->head(), held->second.policy->tokenize_within_ms,
      [self = shared_from_this(), held] { self->forward(std::move(held->first), std::move(held->second)); });
}

// Joins the flight of an equal request, or makes one. Only what may be stored is shared.
cache::FlightTable::Joined Gateway::State::board(const pipeline::Forward& forward, const cache::Flight::Wake& wake,
                                                 std::string& flight_key) {
  // Whole answers of known dialects are kept, to be stored and to read their usage; others only pass.
  const cache::Flight::Options flight_options{.keep = forward.prepared != nullptr};
  if (forward.collapse) {
    const pipeline::Prepared& prepared = *forward.prepared;
    flight_key = prepared.key + (prepared.stream ? (prepared.include_usage ? "|su" : "|s") : "|j");
    return flights.join_or_lead(flight_key, flight_options, wake);
  }
  auto flight = std::make_shared<cache::Flight>(flight_options);
  const cache::Flight::ReaderId reader = flight->join(wake).value();
  return {std::move(flight), reader, true};
}

void Gateway::State::forward(Visit visit, pipeline::Forward forward) {
  if (in_flight.load(std::memory_order_relaxed) >= options.max_in_flight)
    return refuse(visit,
                  {.status = 429,
                   .message = fmt::format("{} requests are waiting for upstreams already (limits.max_in_flight)",
                                          options.max_in_flight),
                   .reason = "limit",
                   .retry_after_s = 1});
  const auto slot = std::make_shared<std::weak_ptr<Relay>>();
  std::string flight_key;
  const cache::FlightTable::Joined joined = board(forward, Relay::wake_for(visit.exchange->loop(), slot), flight_key);
  if (!joined.leader) parts.pipeline.exact().count_collapsed();
  forward.id = parts.pipeline.explanations().next_id();
  parts.pipeline.explanations().forwarded(forward.id, forward, visit.exchange->body(), !joined.leader);
  in_flight.fetch_add(1, std::memory_order_relaxed);

  if (joined.leader) parts.pipeline.arrange(forward, visit.exchange->body());

  const auto self = shared_from_this();
  const auto judged = std::make_shared<pipeline::Judged>();
  const RequestInfo& info = visit.info;
  Relay::Options relay_options{.dialect = visit.info.dialect};
  relay_options.status = {.why = forward.why,
                          .collapsed = !joined.leader,
                          .detail = forward.detail,
                          .id = forward.prepared ? forward.id : 0};
  if (forward.prefix) relay_options.status.prefix_tokens = forward.prefix->read_tokens;
  relay_options.timing = visit.timing;
  relay_options.started_us = visit.info.started_us;
  relay_options.now_us = [this] { return parts.clock.monotonic_us(); };
  if (!joined.leader && visit.first)
    relay_options.again = [self, info](std::shared_ptr<net::Exchange> exchange) {
      self->in_flight.fetch_sub(1, std::memory_order_relaxed);
      self->decide({.exchange = std::move(exchange), .info = info, .first = false});
    };
  relay_options.done = [self, info, what = forwarded(forward, !joined.leader), prepared = forward.prepared,
                        scope = forward.scope, judged, flight = joined.flight, leader = joined.leader,
                        begun = capture.begin(*visit.exchange, forward.prepared.get())](
                           int status, const MissStatus& miss, const Timing& timing) mutable {
    self->in_flight.fetch_sub(1, std::memory_order_relaxed);
    self->capture.forwarded(begun, info, timing, flight,
                            leader ? pipeline::forwarded_name(miss.why) : std::string_view("collapsed"), status);
    what.status = status;
    what.scope = scope;
    what.usage = judged->usage;
    what.usd = judged->cost_usd;
    what.upstream = judged->upstream;
    self->observer.done(info, timing, what);
  };
  const auto relay = std::make_shared<Relay>(visit.exchange, joined.flight, std::move(relay_options));
  *slot = relay;
  relay->attach(joined.reader);
  if (joined.leader) fetch(visit, std::move(forward), joined.flight, flight_key, judged);
}

void Gateway::State::fetch(const Visit& visit, pipeline::Forward forward,
                           const std::shared_ptr<cache::Flight>& flight, const std::string& flight_key,
                           const std::shared_ptr<pipeline::Judged>& judged) {
  LoopState& loop = state_of(visit.exchange->loop());
  const auto self = shared_from_this();
  Fetch::Job job{.forward = std::move(forward),
                 .head = visit.exchange->head(),
                 .body = visit.exchange->body(),
                 .dialect = visit.info.dialect,
                 .traceparent = observer.traces() ? visit.info.details->trace.header() : std::string()};
  Fetch::Hooks hooks;
  hooks.keep = [self](const pipeline::Forward& what, pipeline::Recorded recorded) {
    return self->parts.pipeline.keep(what, std::move(recorded));
  };
  hooks.judged = [judged](const pipeline::Judged& found) { *judged = found; };
  hooks.settle = [self](const pipeline::Forward& what, const pipeline::Kept& kept) {
    self->parts.pipeline.settle(what, kept);
  };
  hooks.post_to_pool = [self](std::function<void()> work) { return self->parts.pool.post(std::move(work)); };
  if (pipeline::PrefixStage* prefix = parts.pipeline.prefix(); prefix != nullptr && job.forward.prefix) {
    hooks.begun = [prefix, plan = job.forward.prefix] { prefix->begun(*plan); };
    hooks.hold_ms = job.forward.policy->prefix.hold_ms;
    if (hooks.hold_ms > 0)
      hooks.hold = [prefix, plan = job.forward.prefix](std::function<void()> then) {
        return prefix->hold(*plan, std::move(then));
      };
  }
  if (!flight_key.empty())
    hooks.ended = [self, flight_key, raw = flight.get()] { self->flights.remove(flight_key, raw); };
  hooks.count_error = [self](const std::string& upstream, const std::string& code) {
    self->parts.metrics.counter("payonce_upstream_errors_total", {{"upstream", upstream}, {"code", code}}).add();
  };
  if (pinger) pinger->watch(loop.loop, job, hooks);
  const auto call =
      std::make_shared<Fetch>(loop.loop, loop.upstreams, parts.clock, flight, std::move(job), std::move(hooks));
  flight->on_abandoned([weak = std::weak_ptr<Fetch>(call)] {
    if (const auto alive = weak.lock()) alive->cancel();
  });
  loop.keep(call);
  call->start();
}

}  // namespace payonce::gateway
