#include "pipeline/pipeline.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <exception>
#include <utility>

#include "base/log.h"
#include "pipeline/savings.h"

namespace payonce::pipeline {
namespace {

constexpr size_t kDialects = static_cast<size_t>(llm::Dialect::kOther) + 1;
constexpr size_t kOutcomes = static_cast<size_t>(Outcome::kStale) + 1;
constexpr std::string_view kOutcomeNames[] = {"hit", "miss", "bypass", "stale"};
constexpr std::string_view kForwardedNames[] = {"miss", "bypass", "stale", "request"};

// Whose paths and headers a request speaks, also where we do not know the endpoint (batches, files).
route::UpstreamKind wire_of(const Incoming& incoming) {
  const bool anthropic =
      incoming.head.target.starts_with("/v1/messages") || incoming.head.headers.get("anthropic-version");
  return anthropic ? route::UpstreamKind::kAnthropic : route::wire_of(incoming.dialect);
}

Refusal refuse(const base::Error& error) {
  const std::string_view reason = error.code == base::Code::kUnauthorized ? "auth"
                                  : error.code == base::Code::kNotFound || error.code == base::Code::kUnavailable
                                      ? "route"
                                      : "bad";
  return {.status = base::code_http_status(error.code), .message = error.message, .reason = reason};
}

Outcome outcome_of(Forwarded why) {
  switch (why) {
    case Forwarded::kMiss: return Outcome::kMiss;
    case Forwarded::kStale: return Outcome::kStale;
    case Forwarded::kBypass:
    case Forwarded::kRequest: return Outcome::kBypass;
  }
  return Outcome::kBypass;
}

Decision because(cache::MissReason reason, Decision decision) {
  if (auto* forward = std::get_if<Forward>(&decision)) forward->exact_miss = reason;
  return decision;
}

}  // namespace

std::string_view outcome_name(Outcome outcome) { return kOutcomeNames[static_cast<size_t>(outcome)]; }
std::string_view forwarded_name(Forwarded why) { return kForwardedNames[static_cast<size_t>(why)]; }

// Handles looked up once: the hit path takes no lock of the metrics registry.
struct Pipeline::Counters {
  explicit Counters(base::Metrics& metrics) : saved(metrics, "exact") {
    for (size_t d = 0; d < kDialects; ++d) {
      const std::string dialect(llm::dialect_name(static_cast<llm::Dialect>(d)));
      for (size_t o = 0; o < kOutcomes; ++o)
        requests[d][o] =
            metrics.counter("payonce_requests_total", {{"dialect", dialect},
                                                       {"layer", o == 0 || o == 1 || o == 3 ? "exact" : "none"},
                                                       {"outcome", std::string(kOutcomeNames[o])}});
    }
    for (size_t d = 0; d < kDialects; ++d)
      semantic_hits[d] = metrics.counter("payonce_requests_total",
                                         {{"dialect", std::string(llm::dialect_name(static_cast<llm::Dialect>(d)))},
                                          {"layer", "semantic"},
                                          {"outcome", "hit"}});
    fresh = metrics.counter("payonce_tokens_total", {{"class", "fresh"}});
    read = metrics.counter("payonce_tokens_total", {{"class", "read"}});
    write = metrics.counter("payonce_tokens_total", {{"class", "write"}});
    output = metrics.counter("payonce_tokens_total", {{"class", "output"}});
    faults = metrics.counter("payonce_layer_faults_total", {{"layer", "exact"}});
    collapsed_total = metrics.counter("payonce_collapsed_total");
  }
  std::array<std::array<base::Counter, kOutcomes>, kDialects> requests;
  std::array<base::Counter, kDialects> semantic_hits;
  Savings saved;
  base::Counter fresh, read, write, output, faults, collapsed_total;
  std::atomic<uint64_t> hits{0}, bypassed{0}, collapsed{0}, cold{0}, expired{0}, refreshed{0}, fault{0};
};

Pipeline::Pipeline(Parts parts, PolicyPtr policy)
    : clock_(parts.clock),
      store_(parts.store),
      ledger_(parts.ledger),
      limits_(parts.limits),
      semantic_(parts.semantic),
      prefix_(parts.prefix),
      route_(parts.clock, parts.metrics),
      identifier_(std::move(parts.profiles)),
      explanations_(parts.clock),
      counters_(std::make_unique<Counters>(parts.metrics)),
      policy_(std::move(policy)) {}
Pipeline::~Pipeline() = default;

void Pipeline::set_policy(PolicyPtr policy) {
  const std::lock_guard lock(policy_mutex_);
  policy_ = std::move(policy);
}

PolicyPtr Pipeline::policy() const {
  const std::lock_guard lock(policy_mutex_);
  return policy_;
}

Decision Pipeline::before(const Incoming& incoming, Spent& spent) {
  const PolicyPtr policy = this->policy();
  // Endpoints that we do not know, and a body that only the upstream can read (encoded), pass through.
  if (incoming.dialect == llm::Dialect::kOther) return pass_through(incoming, policy);
  const auto directives = parse_directives(incoming.head.headers);
  if (!directives) return refuse(directives.error());
  if (directives->encoded) return pass_through(incoming, policy);
  auto prepared = identifier_.identify(incoming, *policy);
  if (!prepared) return refuse(prepared.error());
  const int64_t identified_us = clock_.monotonic_us();
  spent.parse_us = identified_us - spent.started_us;

  const bool semantic = semantic_ != nullptr && policy->semantic && directives->semantic;
  const bool cacheable =
      policy->exact && (directives->exact || semantic) && (policy->cache_sampled || !(*prepared)->sampled);
  if (!cacheable) return forward(std::move(*prepared), *directives, policy, Forwarded::kBypass);
  if (directives->no_cache) return forward(std::move(*prepared), *directives, policy, Forwarded::kRequest);
  const std::string& key = (*prepared)->key;
  cache::Found found = directives->exact ? look_up(key) : cache::Found();
  spent.lookup_us = clock_.monotonic_us() - identified_us;
  if (found.reason == cache::MissReason::kOnDisk && !found.entry)
    return Load{std::move(*prepared), *directives, policy, nullptr};
  if (!found.entry && semantic) {
    count_exact_miss(found.reason);
    return because(found.reason, missed(incoming, std::move(*prepared), *directives, policy));
  }
  return decide(std::move(*prepared), *directives, policy, std::move(found));
}

Decision Pipeline::load(const Load& load) {
  cache::Found found{.entry = nullptr, .reason = cache::MissReason::kFault};
  try {
    found.entry = store_.load(load.lookup ? load.lookup->candidates.front().key : load.prepared->key);
    if (!found.entry) found.reason = cache::MissReason::kCold;
  } catch (const std::exception& error) {
    counters_->faults.add();
    base::log_error("response store: {}", error.what());
  }
  return load.lookup ? answer_by_meaning(load.prepared, load.directives, load.policy, load.lookup, found)
                     : decide(load.prepared, load.directives, load.policy, std::move(found));
}

Decision Pipeline::without_load(const Load& load) {
  const cache::Found nothing{.entry = nullptr, .reason = cache::MissReason::kFault};
  return load.lookup ? answer_by_meaning(load.prepared, load.directives, load.policy, load.lookup, nothing)
                     : decide(load.prepared, load.directives, load.policy, nothing);
}

// The one place where a fault of the layer becomes a miss.
cache::Found Pipeline::look_up(const std::string& key) {
  try {
    return store_.find(key);
  } catch (const std::exception& error) {
    counters_->faults.add();
    base::log_error("response store: {}", error.what());
    return {.entry = nullptr, .reason = cache::MissReason::kFault};
  }
}

Decision Pipeline::decide(PreparedPtr prepared, const Directives& directives, const PolicyPtr& policy,
                          cache::Found found) {
  if (found.entry) {
    const int64_t age_ms = std::max<int64_t>(0, clock_.unix_ms() - found.entry->created_ms);
    if (directives.max_age_s && age_ms > *directives.max_age_s * 1000) {
      counters_->refreshed.fetch_add(1, std::memory_order_relaxed);
      return forward(std::move(prepared), directives, policy, Forwarded::kStale);
    }
    auto made = answer(prepared, found.entry);
    if (made) {
      made->layer = "exact";
      count_hit(*made);
      return *std::move(made);
    }
    counters_->faults.add();  // recorded bytes that cannot be re-framed: ask the upstream
    base::log_warn("cannot re-frame {}: {}", prepared->key, made.error().message);
    found.reason = cache::MissReason::kFault;
  }
  count_exact_miss(found.reason);
  return because(found.reason, forward(std::move(prepared), directives, policy, Forwarded::kMiss));
}

base::Result<Answer> Pipeline::answer(const PreparedPtr& prepared, const cache::EntryPtr& entry) const {
  Answer out{.prepared = prepared, .entry = entry};
  const bool recorded_stream = entry->form == llm::Form::kStream;
  if (prepared->stream && recorded_stream) {
    out.content_type = entry->content_type;
    out.body = entry->include_usage == prepared->include_usage
                   ? entry->body
                   : base::Bytes(llm::restream(entry->dialect, entry->body.view(), prepared->include_usage));
  } else if (prepared->stream) {
    PAYONCE_TRY(std::string stream, llm::to_stream(entry->dialect, entry->body.view(), prepared->include_usage));
    out.content_type = "text/event-stream; charset=utf-8";
    out.body = base::Bytes(std::move(stream));
  } else if (recorded_stream) {
    PAYONCE_TRY(std::string json, llm::to_json(entry->dialect, entry->body.view()));
    out.content_type = "application/json";
    out.body = base::Bytes(std::move(json));
  } else {
    out.content_type = entry->content_type;
    out.body = entry->body;
  }
  const int64_t now_ms = clock_.unix_ms();
  out.age_s = std::max<int64_t>(0, (now_ms - entry->created_ms) / 1000);
  out.ttl_s = std::max<int64_t>(0, (entry->expires_ms - now_ms) / 1000);
  return out;
}

void Pipeline::count_hit(const Answer& answer) {
  const cache::Entry& entry = *answer.entry;
  ledger_.add_hit(answer.prepared->scope, entry.model, answer.layer, entry.usage, entry.cost_usd);
  if (answer.layer == "semantic") {
    counters_->semantic_hits[static_cast<size_t>(answer.prepared->dialect)].add();
    return semantic_->count_saved(entry.usage, entry.cost_usd);
  }
  count(answer.prepared->dialect, Outcome::kHit);
  counters_->hits.fetch_add(1, std::memory_order_relaxed);
  counters_->saved.add(entry.usage, entry.cost_usd);
}

void Pipeline::count_exact_miss(cache::MissReason why) {
  std::atomic<uint64_t>& reason = why == cache::MissReason::kExpired ? counters_->expired
                                  : why == cache::MissReason::kFault ? counters_->fault
                                                                     : counters_->cold;
  reason.fetch_add(1, std::memory_order_relaxed);
}

Decision Pipeline::forward(PreparedPtr prepared, const Directives& directives, const PolicyPtr& policy, Forwarded why,
                           AskedQuestionPtr lookup, std::string_view detail) {
  if (lookup && lookup->waited_for) semantic_->forwarded(*prepared, *lookup);
  if (directives.only_if_cached)
    return Refusal{.status = 504,
                   .message =
                       "only-if-cached: no stored answer that may be used; send the request without it to ask the "
                       "upstream",
                   .reason = "only_if_cached"};
  if (auto refusal = check_limits(prepared->caller, *policy)) return *std::move(refusal);
  count(prepared->dialect, outcome_of(why));
  if (why == Forwarded::kBypass) counters_->bypassed.fetch_add(1, std::memory_order_relaxed);
  Forward out = to_upstream(std::move(prepared), directives, policy, why);
  out.lookup = std::move(lookup);
  out.detail = detail;
  return out;
}

Forward Pipeline::to_upstream(PreparedPtr prepared, const Directives& directives, const PolicyPtr& policy,
                              Forwarded why) const {
  const bool store =
      why != Forwarded::kBypass && !directives.no_store && directives.ttl_s.value_or(policy->ttl_s) > 0;
  Forward out{.directives = directives, .why = why, .store = store};
  out.collapse = store && why == Forwarded::kMiss;
  out.candidates = prepared->candidates;
  out.wire = route::wire_of(prepared->dialect);
  out.scope = prepared->scope;
  out.prepared = std::move(prepared);
  out.policy = policy;
  out.started_us = clock_.monotonic_us();
  return out;
}

Decision Pipeline::pass_through(const Incoming& incoming, const PolicyPtr& policy) {
  const auto caller = policy->callers.identify(incoming.head.headers);
  if (!caller) return refuse(caller.error());
  if (auto refusal = check_limits(caller->name, *policy)) return *std::move(refusal);
  auto candidates = policy->routes.choose("", wire_of(incoming));
  if (!candidates) return refuse(candidates.error());
  count(incoming.dialect, Outcome::kBypass);
  Forward out{.scope = caller->scope_id, .why = Forwarded::kBypass, .wire = wire_of(incoming)};
  out.candidates = *std::move(candidates);
  out.policy = policy;
  return out;
}

std::optional<Refusal> Pipeline::check_limits(const std::string& caller, const Policy& policy) {
  const auto exceeded = limits_.take(caller, policy.limit_of(caller), clock_.unix_ms());
  if (!exceeded) return std::nullopt;
  return Refusal{.status = 429,
                 .message = exceeded->message,
                 .reason = exceeded->reason,
                 .retry_after_s = exceeded->retry_after_s};
}

Judged Pipeline::judge(const Forward& forward, const Recorded& recorded) const {
  Judged out;
  if (!forward.prepared || recorded.status != 200) return out;
  const Prepared& prepared = *forward.prepared;
  if (recorded.content_type.starts_with("text/event-stream")) out.form = llm::Form::kStream;
  llm::Analysis analysis = llm::analyse(prepared.dialect, out.form, recorded.body);
  out.usage = analysis.usage;
  const route::Upstream& upstream = forward.trip ? *forward.trip->at() : *forward.candidates.front();
  out.upstream = upstream.name;
  out.cost_usd =
      upstream.price_factor * forward.policy->prices.cost_usd(prepared.model, analysis.usage, clock_.unix_ms());
  out.reason = std::move(analysis.reason);
  out.provider_says = std::move(analysis.cache_miss_reason);
  out.complete = analysis.complete;
  out.store = forward.store && analysis.complete;
  return out;
}

void Pipeline::settle(const Forward& forward, Recorded recorded, const Judged& judged) {
  if (!forward.prepared || recorded.status != 200) return;
  const Prepared& prepared = *forward.prepared;
  const llm::Usage& usage = judged.usage;
  const int64_t now_ms = clock_.unix_ms();
  const int64_t expires_ms = now_ms + forward.directives.ttl_s.value_or(forward.policy->ttl_s) * 1000;
  if (forward.trip) forward.trip->billed(usage);
  if (forward.lookup) settle_semantic(forward, recorded, judged, expires_ms);
  if (judged.store) {
    auto entry = std::make_shared<cache::Entry>();
    entry->key = prepared.key;
    entry->scope = prepared.scope;
    entry->versions = prepared.versions;
    entry->model = prepared.model;
    entry->dialect = prepared.dialect;
    entry->form = judged.form;
    entry->include_usage = prepared.include_usage;
    entry->content_type = std::move(recorded.content_type);
    entry->body = base::Bytes(std::move(recorded.body));
    entry->pace_ms = std::move(recorded.pace_ms);
    entry->pace_offset = std::move(recorded.pace_offset);
    entry->usage = usage;
    entry->cost_usd = judged.cost_usd;
    entry->created_ms = now_ms;
    entry->expires_ms = expires_ms;
    try {
      store_.insert(std::move(entry));
    } catch (const std::exception& error) {
      counters_->faults.add();
      base::log_error("response store: {}", error.what());
    }
  }
  settle_prefix(forward, judged);
  counters_->fresh.add(static_cast<double>(usage.fresh));
  counters_->read.add(static_cast<double>(usage.read));
  counters_->write.add(static_cast<double>(usage.write_short + usage.write_long));
  counters_->output.add(static_cast<double>(usage.output));
  ledger_.add_spend(prepared.scope, prepared.model, usage, judged.cost_usd);
  limits_.spent(prepared.caller, judged.cost_usd, clock_.unix_ms());
}

Judged Pipeline::after(const Forward& forward, Recorded recorded) {
  Judged judged = judge(forward, recorded);
  settle(forward, std::move(recorded), judged);
  return judged;
}

void Pipeline::count(llm::Dialect dialect, Outcome outcome) const {
  counters_->requests[static_cast<size_t>(dialect)][static_cast<size_t>(outcome)].add();
}

void Pipeline::count_collapsed() {
  counters_->collapsed.fetch_add(1, std::memory_order_relaxed);
  counters_->collapsed_total.add();
}

Pipeline::ExactStats Pipeline::exact_stats() const {
  const Counters& c = *counters_;
  ExactStats out{.hits = c.hits,
                 .bypassed = c.bypassed,
                 .collapsed = c.collapsed,
                 .cold = c.cold,
                 .expired = c.expired,
                 .refreshed = c.refreshed,
                 .fault = c.fault,
                 .saved_input_tokens = c.saved.input_tokens(),
                 .saved_output_tokens = c.saved.output_tokens(),
                 .saved_usd = c.saved.usd()};
  out.misses = out.cold + out.expired + out.refreshed + out.fault;
  return out;
}

}  // namespace payonce::pipeline
