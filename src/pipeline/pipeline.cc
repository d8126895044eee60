// The cache map, from top to bottom: identify, exact, semantic, (an upstream:) route, prefix, and back: judge, store,
// record.
#include "pipeline/pipeline.h"

#include <fmt/format.h>

#include <exception>
#include <utility>

#include "base/log.h"
#include "pipeline/stored_answer.h"

namespace payonce::pipeline {
namespace {

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

}  // namespace

Pipeline::Pipeline(Parts parts, PolicyPtr policy)
    : clock_(parts.clock),
      identifier_(std::move(parts.profiles), parts.raw_keys),
      exact_(parts.store, parts.metrics),
      semantic_(parts.semantic),
      prefix_(parts.prefix),
      route_(parts.clock, parts.metrics),
      accounts_(parts.clock, parts.metrics, parts.ledger, parts.limits),
      explanations_(parts.clock, parts.explained_bytes),
      policy_(std::move(policy)) {}

void Pipeline::set_policy(PolicyPtr policy) {
  const std::lock_guard lock(policy_mutex_);
  policy_ = std::move(policy);
}

PolicyPtr Pipeline::policy() const {
  const std::lock_guard lock(policy_mutex_);
  return policy_;
}

// ---- the first half: from a request to an answer, or to an upstream ---------------------------------------------

Decision Pipeline::before(const Incoming& incoming, Spent& spent) {
  const PolicyPtr policy = this->policy();
  // Endpoints that we do not know, and a body that only the upstream can read (encoded), pass through.
  if (incoming.dialect == llm::Dialect::kOther) return pass_through(incoming, policy);
  // A credential in the query alone: whose the answer would be cannot be told.
  if (identity::may_hold_credential(incoming.head.target) && identity::credential_of(incoming.head.headers).empty())
    return pass_through(incoming, policy);
  const auto directives = parse_directives(incoming.head.headers);
  if (!directives) return refuse(directives.error());
  if (directives->encoded) return pass_through(incoming, policy);

  auto prepared = identifier_.identify(incoming, *policy);
  if (!prepared) return refuse(prepared.error());
  const int64_t identified_us = clock_.monotonic_us();
  spent.parse_us = identified_us - spent.started_us;

  Request request{.prepared = *std::move(prepared), .directives = *directives, .policy = policy};
  const bool exact = directives->exact;
  const bool semantic = semantic_ != nullptr && policy->semantic && directives->semantic;
  const bool cacheable =
      policy->exact && (exact || semantic) && (policy->cache_sampled || !request.prepared->sampled);
  if (!cacheable) return forward(std::move(request), Forwarded::kBypass);
  if (directives->no_cache) return forward(std::move(request), Forwarded::kRequest);

  cache::Found found = exact ? exact_.find(request.prepared->key) : cache::Found();
  spent.lookup_us = clock_.monotonic_us() - identified_us;
  if (found.entry) return answer_exactly(std::move(request), std::move(found));
  if (found.reason == cache::MissReason::kOnDisk) return Load{std::move(request), nullptr};

  request.exact_miss = found.reason;
  if (semantic) return search_by_meaning(incoming, std::move(request));
  exact_.count_miss(found.reason);
  return forward(std::move(request), Forwarded::kMiss);
}

Decision Pipeline::pass_through(const Incoming& incoming, const PolicyPtr& policy) {
  const auto caller = policy->callers.identify(incoming.head.headers);
  if (!caller) return refuse(caller.error());
  if (auto refusal = accounts_.over_limit(caller->name, *policy)) return *std::move(refusal);
  auto candidates = policy->routes.choose("", wire_of(incoming));
  if (!candidates) return refuse(candidates.error());
  accounts_.forwarded(incoming.dialect, Outcome::kBypass);
  Forward out{.scope = caller->scope_id, .why = Forwarded::kBypass, .wire = wire_of(incoming)};
  out.candidates = *std::move(candidates);
  out.policy = policy;
  return out;
}

// ---- exact --------------------------------------------------------------------------------------------------------

Decision Pipeline::answer_exactly(Request request, cache::Found found) {
  if (found.entry) {
    const int64_t now_ms = clock_.unix_ms();
    if (!young_enough(*found.entry, request.directives, now_ms)) {
      exact_.count_refreshed();
      return forward(std::move(request), Forwarded::kStale);
    }
    auto answer = stored_answer(request.prepared, found.entry, now_ms);
    if (answer) {
      answer->layer = "exact";
      exact_.count_hit(*found.entry);
      accounts_.saved(*answer);
      return *std::move(answer);
    }
    exact_.count_fault(fmt::format("{} cannot be framed: {}", request.prepared->key, answer.error().message));
    found.reason = cache::MissReason::kFault;
  }
  exact_.count_miss(found.reason);
  request.exact_miss = found.reason;
  return forward(std::move(request), Forwarded::kMiss);
}

Decision Pipeline::load(const Load& load) {
  return found_on_disk(load,
                       exact_.load(load.lookup ? load.lookup->candidates.front().key : load.request.prepared->key));
}

Decision Pipeline::without_load(const Load& load) {
  return found_on_disk(load, {.entry = nullptr, .reason = cache::MissReason::kFault});
}

Decision Pipeline::found_on_disk(const Load& load, cache::Found found) {
  return load.lookup ? answer_by_meaning(load.request, load.lookup, found)
                     : answer_exactly(load.request, std::move(found));
}

// ---- semantic -----------------------------------------------------------------------------------------------------

Decision Pipeline::search_by_meaning(const Incoming& incoming, Request request) {
  auto asked = identifier_.asked(incoming, *request.policy);
  AskedQuestionPtr lookup;
  if (asked) lookup = semantic_->start(*request.prepared, std::move(asked->context), std::move(asked->question));
  if (lookup && lookup->waited_for) return Search{std::move(request), std::move(lookup)};
  exact_.count_miss(request.exact_miss);
  if (!lookup) return forward(std::move(request), Forwarded::kMiss);
  semantic_->look_up(lookup, [this, prepared = request.prepared, lookup](std::string_view) {
    semantic_->forwarded(*prepared, *lookup);
  });
  return forward(std::move(request), Forwarded::kMiss, std::move(lookup), "semantic-sampling");
}

void Pipeline::search(const Search& search, std::function<void(Decision)> done) {
  semantic_->look_up(search.lookup, [this, search, done = std::move(done)](std::string_view fault) {
    done(searched(search, fault));
  });
}

Decision Pipeline::searched(const Search& search, std::string_view fault) {
  const Request& request = search.request;
  if (search.lookup->outcome != semantic::Outcome::kServe) {
    // That took a while: an equal request that was under way may be stored now.
    cache::Found now = request.directives.exact ? exact_.find(request.prepared->key) : cache::Found();
    const bool on_disk = now.reason == cache::MissReason::kOnDisk;
    if (now.entry || on_disk) semantic_->forwarded(*request.prepared, *search.lookup);
    if (now.entry) return answer_exactly(request, std::move(now));
    if (on_disk) return Load{request, nullptr};
    exact_.count_miss(request.exact_miss);
    return forward(request, Forwarded::kMiss, search.lookup, fault);
  }
  exact_.count_miss(request.exact_miss);
  const cache::Found found = exact_.find(search.lookup->candidates.front().key);
  if (!found.entry && found.reason == cache::MissReason::kOnDisk) return Load{request, search.lookup};
  return answer_by_meaning(request, search.lookup, found);
}

// The candidate is sure enough; is its answer still there, young enough, and can it be framed?
Decision Pipeline::answer_by_meaning(const Request& request, const AskedQuestionPtr& lookup,
                                     const cache::Found& found) {
  const auto& [prepared, directives, policy, exact_miss] = request;
  const semantic::Candidate& candidate = lookup->candidates.front();
  const auto go_on = [&] { return forward(request, Forwarded::kMiss, lookup); };
  if (!found.entry) semantic_->cache().forget(candidate.row);
  // The group's key keeps scopes apart already; a second lock on the same door.
  if (!found.entry || found.entry->scope != prepared->scope) return go_on();
  const int64_t now_ms = clock_.unix_ms();
  if (!young_enough(*found.entry, directives, now_ms)) return go_on();
  auto answer = stored_answer(prepared, found.entry, now_ms);
  if (!answer) return go_on();
  answer->layer = "semantic";
  answer->similarity = candidate.similarity;
  answer->hit_id = semantic_->served(*prepared, *lookup);
  semantic_->count_saved(found.entry->usage, found.entry->cost_usd);
  accounts_.saved(*answer);
  if (lookup->ask_again && !directives.no_store && !accounts_.over_limit(prepared->caller, *policy)) {
    Forward again = to_upstream(request, Forwarded::kMiss);
    again.collapse = false;
    again.lookup = lookup;
    again.was_served = true;
    answer->ask_again = std::make_shared<Forward>(std::move(again));
  }
  return *std::move(answer);
}

void Pipeline::forget_what_is_gone() {
  if (semantic_ == nullptr) return;
  (void)semantic_->cache().forget_if([this](std::string_view key) {
    const cache::Found found = exact_.find(std::string(key));
    return !found.entry && found.reason != cache::MissReason::kOnDisk;
  });
}

// ---- to an upstream: route, prefix --------------------------------------------------------------------------------

Decision Pipeline::forward(Request request, Forwarded why, AskedQuestionPtr lookup, std::string_view detail) {
  if (lookup && lookup->waited_for) semantic_->forwarded(*request.prepared, *lookup);
  if (request.directives.only_if_cached)
    return Refusal{.status = 504,
                   .message =
                       "only-if-cached: no stored answer that may be used; send the request without it to ask the "
                       "upstream",
                   .reason = "only_if_cached"};
  if (auto refusal = accounts_.over_limit(request.prepared->caller, *request.policy)) return *std::move(refusal);
  accounts_.forwarded(request.prepared->dialect, outcome_of(why));
  if (why == Forwarded::kBypass) exact_.count_bypassed();
  Forward out = to_upstream(std::move(request), why);
  out.lookup = std::move(lookup);
  out.detail = detail;
  return out;
}

Forward Pipeline::to_upstream(Request request, Forwarded why) const {
  const bool store = why != Forwarded::kBypass && !request.directives.no_store &&
                     request.directives.ttl_s.value_or(request.policy->ttl_s) > 0;
  Forward out{.directives = request.directives, .why = why, .store = store};
  out.collapse = store && why == Forwarded::kMiss;
  out.candidates = request.prepared->candidates;
  out.wire = route::wire_of(request.prepared->dialect);
  out.scope = request.prepared->scope;
  out.exact_miss = request.exact_miss;
  out.prepared = std::move(request.prepared);
  out.policy = std::move(request.policy);
  out.started_us = clock_.monotonic_us();
  return out;
}

std::optional<TokenQuestion> Pipeline::token_question(Forward& forward, const base::Bytes& body) {
  try {
    return route_.token_question(forward, body);
  } catch (const std::exception& error) {
    base::log_error("routing: {}; no tokens are asked for", error.what());
    return std::nullopt;
  }
}

void Pipeline::tokens_came(const TokenQuestion& question, std::vector<uint32_t> tokens) {
  route_.tokens_came(question, std::move(tokens));
}

void Pipeline::arrange(Forward& forward, const base::Bytes& body) {
  const auto read = route_.plan(forward, body);
  if (prefix_ == nullptr || !forward.prepared) return;
  const prefix::Mode mode = PrefixStage::mode_for(forward);
  if (mode == prefix::Mode::kOff) return;
  forward.body = body;
  forward.observe_only = mode == prefix::Mode::kObserve;  // planned when the answer is out: nobody waits for it
  if (!forward.observe_only) forward.prefix = prefix_->plan(forward, body, read ? &read->request : nullptr);
}

// ---- the second half: from an upstream's answer to what is kept and recorded --------------------------------------

Judged Pipeline::judge(const Forward& forward, const Recorded& recorded) const {
  Judged out;
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

// The end of the answer waits for this: it goes out whatever happens here.
Kept Pipeline::keep(const Forward& forward, Recorded recorded) {
  if (!forward.prepared || recorded.status != 200) return {};
  try {
    Kept out{.judged = judge(forward, recorded), .is_answer = true};
    out.body = base::Bytes(std::move(recorded.body));
    out.expires_ms = clock_.unix_ms() + forward.directives.ttl_s.value_or(forward.policy->ttl_s) * 1000;
    if (out.judged.store) store(forward, std::move(recorded), out);
    return out;
  } catch (const std::exception& error) {
    exact_.count_fault(error.what());
    return {};
  }
}

void Pipeline::settle(const Forward& forward, const Kept& kept) {
  if (!kept.is_answer) return;
  const Judged& judged = kept.judged;
  if (forward.trip) forward.trip->billed(judged.usage);
  if (forward.lookup && judged.complete)
    semantic_->settle({.prepared = *forward.prepared,
                       .lookup = forward.lookup,
                       .form = judged.form,
                       .body = kept.body.view(),
                       .stored = judged.store,
                       .expires_ms = kept.expires_ms,
                       .was_served = forward.was_served,
                       .upstream_us = forward.was_served ? -1 : clock_.monotonic_us() - forward.started_us});
  explanations_.settled(forward.id, prefix_ != nullptr ? prefix_->settle(forward, judged) : nullptr, judged);
  accounts_.bought(*forward.prepared, judged);
}

void Pipeline::store(const Forward& forward, Recorded recorded, const Kept& kept) {
  const Prepared& prepared = *forward.prepared;
  const Judged& judged = kept.judged;
  auto entry = std::make_shared<cache::Entry>();
  entry->key = prepared.key;
  entry->scope = prepared.scope;
  entry->versions = prepared.versions;
  entry->model = prepared.model;
  entry->dialect = prepared.dialect;
  entry->form = judged.form;
  entry->include_usage = prepared.include_usage;
  entry->content_type = std::move(recorded.content_type);
  entry->body = kept.body;
  entry->pace_ms = std::move(recorded.pace_ms);
  entry->pace_offset = std::move(recorded.pace_offset);
  entry->usage = judged.usage;
  entry->cost_usd = judged.cost_usd;
  entry->created_ms = clock_.unix_ms();
  entry->expires_ms = kept.expires_ms;
  exact_.insert(std::move(entry));
}

Judged Pipeline::after(const Forward& forward, Recorded recorded) {
  Kept kept = keep(forward, std::move(recorded));
  settle(forward, kept);
  return std::move(kept.judged);
}

}  // namespace payonce::pipeline
