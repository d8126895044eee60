#include "pipeline/prefix_stage.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "llm/request.h"
#include "pipeline/upstream_rules.h"

namespace payonce::pipeline {
namespace {

constexpr int64_t kSaveEvery_ms = 60'000;

prefix::Mode mode_of(route::PrefixMode mode) {
  switch (mode) {
    case route::PrefixMode::kObserve: return prefix::Mode::kObserve;
    case route::PrefixMode::kSafe: return prefix::Mode::kSafe;
    case route::PrefixMode::kAggressive: return prefix::Mode::kAggressive;
    case route::PrefixMode::kOff:
    case route::PrefixMode::kDefault: break;
  }
  return prefix::Mode::kOff;
}

bool names_model(const std::vector<std::string>& patterns, std::string_view model) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return route::matches_pattern(pattern, model); });
}

}  // namespace

struct PrefixStage::Counters {
  explicit Counters(base::Metrics& metrics)
      : fault(metrics.counter("payonce_layer_faults_total", {{"layer", "prefix"}})) {
    for (size_t i = 0; i < prefix::kActs; ++i)
      acts_total[i] = metrics.counter("payonce_prefix_acts_total",
                                      {{"act", std::string(prefix::act_name(static_cast<prefix::Act>(i)))}});
    seconds = metrics.histogram("payonce_request_seconds", {{"phase", "prefix"}});
  }
  base::Counter fault;
  std::array<base::Counter, prefix::kActs> acts_total;
  base::Histogram seconds;
  std::atomic<uint64_t> planned{0}, changed{0}, held{0}, faults{0}, plan_us{0}, requests{0}, hits{0}, fresh{0},
      read{0}, written{0};
  std::array<std::atomic<uint64_t>, prefix::kActs> acts{};
  std::array<std::atomic<uint64_t>, kProviderReasons.size()> provider_says{};
};

PrefixStage::PrefixStage(Parts parts, prefix::Optimizer::Options options)
    : clock_(parts.clock),
      save_soon_(std::move(parts.save_soon)),
      optimizer_(std::move(options)),
      breakers_(std::move(parts.post), parts.breaker_bytes),
      counters_(std::make_unique<Counters>(parts.metrics)) {}
PrefixStage::~PrefixStage() = default;

prefix::Mode PrefixStage::mode_for(const Forward& forward) {
  const Policy& policy = *forward.policy;
  const route::Upstream& upstream = *forward.candidates.front();
  if (policy.prefix.mode == route::PrefixMode::kOff || !forward.directives.prefix) return prefix::Mode::kOff;
  const bool own = upstream.prefix_mode != route::PrefixMode::kDefault;
  const prefix::Mode mode = mode_of(own ? upstream.prefix_mode : policy.prefix.mode);
  return mode == prefix::Mode::kSafe && names_model(policy.prefix.move, forward.prepared->model)
             ? prefix::Mode::kAggressive
             : mode;
}

PrefixPlanPtr PrefixStage::plan(const Forward& forward, const base::Bytes& body, const llm::Request* parsed) {
  const Prepared& prepared = *forward.prepared;
  const route::Upstream& upstream = *forward.candidates.front();
  const prefix::Mode mode = mode_for(forward);
  if (mode == prefix::Mode::kOff) return nullptr;
  const int64_t started_us = clock_.monotonic_us();
  std::optional<llm::Request> own;
  if (parsed == nullptr) {
    auto request = llm::parse_request(prepared.dialect, body);
    if (!request) return nullptr;
    parsed = &own.emplace(*std::move(request));
  }
  const prompt_cache::Provider& provider = provider_of(upstream, prepared);
  const std::string account = account_of(upstream, prepared);
  auto plan = std::make_shared<prefix::Plan>(
      optimizer_.plan({.request = *parsed,
                       .account = account,
                       .scope = prepared.scope,
                       .rule = prompt_cache::rule_for(provider, prepared.model),
                       .mode = mode,
                       .strip_billing = !reads_billing_header(provider),
                       .order_documents = names_model(forward.policy->prefix.context, prepared.model),
                       .drop_repeats = names_model(forward.policy->prefix.repeats, prepared.model),
                       .rewrite_compaction = forward.policy->prefix.compaction == route::CompactionMode::kRewrite,
                       .now_ms = clock_.unix_ms()}));
  const int64_t spent_us = clock_.monotonic_us() - started_us;
  Counters& c = *counters_;
  c.planned.fetch_add(1, std::memory_order_relaxed);
  c.plan_us.fetch_add(static_cast<uint64_t>(spent_us), std::memory_order_relaxed);
  c.seconds.observe(static_cast<double>(spent_us) / 1e6);
  if (plan->body) c.changed.fetch_add(1, std::memory_order_relaxed);
  for (size_t i = 0; i < prefix::kActs; ++i) {
    if (plan->acts[i] == 0) continue;
    c.acts[i].fetch_add(plan->acts[i], std::memory_order_relaxed);
    c.acts_total[i].add(plan->acts[i]);
  }
  if (!plan->fault.empty()) {
    c.faults.fetch_add(1, std::memory_order_relaxed);
    c.fault.add();
    base::log_warn("prefix layer: {}; the request goes as it came", plan->fault);
  }
  return plan;
}

bool PrefixStage::hold(const prefix::Plan& plan, std::function<void()> then) {
  if (plan.wait_for == base::Hash128() || !optimizer_.wait(plan, std::move(then))) return false;
  counters_->held.fetch_add(1, std::memory_order_relaxed);
  return true;
}

void PrefixStage::save_now_and_then() {
  int64_t saved_ms = saved_ms_;
  const int64_t now_ms = clock_.monotonic_us() / 1000;
  if (save_soon_ && now_ms - saved_ms >= kSaveEvery_ms && saved_ms_.compare_exchange_strong(saved_ms, now_ms))
    save_soon_();
}

PrefixPlanPtr PrefixStage::settle(const Forward& forward, const Judged& judged) {
  if (!judged.provider_says.empty()) {
    const auto at = std::find(kProviderReasons.begin(), kProviderReasons.end() - 1, judged.provider_says);
    counters_->provider_says[static_cast<size_t>(at - kProviderReasons.begin())].fetch_add(1);
  }
  PrefixPlanPtr made = forward.observe_only ? plan(forward, forward.body) : forward.prefix;
  if (made) billed(*made, judged.usage);
  if (!forward.body.empty()) watch(forward, judged.usage);
  return made;
}

void PrefixStage::billed(const prefix::Plan& plan, const llm::Usage& usage) {
  optimizer_.answered(plan, usage);
  save_now_and_then();
  if (!usage.known || plan.tokens == 0) return;
  Counters& c = *counters_;
  c.requests.fetch_add(1, std::memory_order_relaxed);
  if (usage.read > 0) c.hits.fetch_add(1, std::memory_order_relaxed);
  c.fresh.fetch_add(static_cast<uint64_t>(usage.fresh), std::memory_order_relaxed);
  c.read.fetch_add(static_cast<uint64_t>(usage.read), std::memory_order_relaxed);
  c.written.fetch_add(static_cast<uint64_t>(usage.write_short + usage.write_long), std::memory_order_relaxed);
}

void PrefixStage::watch(const Forward& forward, const llm::Usage& billed) {
  const int64_t latency_ms = (clock_.monotonic_us() - forward.started_us) / 1000;
  breakers_.observe(forward, billed, clock_.unix_ms() - latency_ms, latency_ms);
}

PrefixStage::Stats PrefixStage::stats() const {
  const Counters& c = *counters_;
  Stats out{.planned = c.planned, .changed = c.changed, .held = c.held, .faults = c.faults};
  for (size_t i = 0; i < prefix::kActs; ++i) out.acts[i] = c.acts[i];
  for (size_t i = 0; i < kProviderReasons.size(); ++i) out.provider_says[i] = c.provider_says[i];
  out.requests = c.requests;
  out.hits = c.hits;
  out.fresh = c.fresh;
  out.read = c.read;
  out.written = c.written;
  out.plan_us = out.planned > 0 ? static_cast<double>(c.plan_us) / static_cast<double>(out.planned) : 0;
  out.sizes = optimizer_.sizes();
  return out;
}

}  // namespace payonce::pipeline
