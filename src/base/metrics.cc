#include "base/metrics.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <mutex>

#include "base/assert.h"

namespace payonce::base {
namespace {

constexpr MetricInfo kTable[] = {
    {"payonce_requests_total", "counter", "dialect,layer,outcome",
     "Requests by dialect, the layer that answered (none: the upstream did) and outcome (hit, miss, bypass, stale)."},
    {"payonce_request_seconds", "histogram", "phase",
     "Time in parse, lookup, prefix, upstream (first byte) and total, seconds."},
    {"payonce_tokens_total", "counter", "class", "Tokens billed by upstreams: fresh, read, write, output."},
    {"payonce_saved_usd_total", "counter", "layer", "Money not spent because a layer answered, USD at list price."},
    {"payonce_saved_tokens_total", "counter", "layer",
     "Input and output tokens not bought because a layer answered."},
    {"payonce_entries", "gauge", "layer", "Entries held by a layer."},
    {"payonce_bytes", "gauge", "layer", "Bytes held by a layer."},
    {"payonce_evictions_total", "counter", "layer,reason", "Entries dropped: capacity, expired, purged, corrupt."},
    {"payonce_upstream_errors_total", "counter", "upstream,code",
     "Failed upstream calls by HTTP status or error code."},
    {"payonce_collapsed_total", "counter", "", "Requests that joined an equal request in flight."},
    {"payonce_layer_faults_total", "counter", "layer",
     "Faults inside a cache layer; each became a miss, not an error."},
    {"payonce_sealed_faults_total", "counter", "",
     "Reads of sealed files that failed their check: damage, or bytes that another wrote."},
    {"payonce_semantic_labels_total", "counter", "equal",
     "Fresh answers compared with the one that the semantic layer would have given or had given."},
    {"payonce_semantic_wrong_share", "gauge", "value",
     "Wrong answers of the semantic layer as a share of the requests that it looked at: estimate, low and high (95 "
     "%), "
     "bound."},
    {"payonce_semantic_asked_again_total", "counter", "",
     "Semantic hits that were asked upstream as well, to measure how often they are wrong."},
    {"payonce_agent_lookups_total", "counter", "kind,outcome", "Lookups of the agent API: hit, miss, or stale."},
    {"payonce_retrieval_hits_total", "counter", "rule",
     "Queries to vector stores that were answered here: equal, paraphrase, seeded (from the lists of near queries)."},
    {"payonce_retrieval_writes_total", "counter", "",
     "Writes to vector stores that went through; each made the lists before it void."},
    {"payonce_retrieval_recall", "gauge", "value",
     "Share of a full search's results that a seeded search finds: mean, low (lower bound, 95 % confidence)."},
    {"payonce_prefix_acts_total", "counter", "act",
     "What the prefix layer did to requests, or would have done: tools_ordered, respelled, moved, billing_stripped, "
     "marked, unmarked, keyed, documents_ordered, documents_first, documents_apart, repeats_dropped, "
     "compaction_rewritten."},
    {"payonce_keep_alive_pings_total", "counter", "outcome",
     "Pings that keep written prefixes alive: read, written (it was gone), failed."},
    {"payonce_keep_alive_usd_total", "counter", "", "What those pings cost, USD at list price."},
    {"payonce_route_moves_total", "counter", "why",
     "Requests that did not go to the first upstream of the configuration or not to their prefix: sticky, balanced, "
     "cheaper, spilled."},
    {"payonce_route_tokenize_total", "counter", "outcome",
     "Questions to engines which tokens a prompt is: in_time, late (the request had gone on), failed."},
    {"payonce_route_in_flight", "gauge", "upstream", "Requests that an upstream works on."},
    {"payonce_record_rows_total", "counter", "outcome",
     "Rows of record.file: written, dropped (the queue was full), failed (the file could not be written)."},
    {"payonce_connections", "gauge", "side", "Open connections: client, upstream."},
    {"payonce_worker_queue", "gauge", "", "Jobs waiting for the worker pool."},
    {"payonce_rejected_total", "counter", "reason",
     "Requests refused before an upstream: limit, rate, budget, auth, bad."},
    {"payonce_dropped_writes_total", "counter", "", "Answers not stored because the worker queue was full."},
    {"payonce_kv_blocks", "gauge", "state",
     "Blocks of the engine's KV pool: free, used, cached; their sum is the pool."},
    {"payonce_kv_hit_tokens_total", "counter", "",
     "Prompt tokens whose KV was there already and was not computed again."},
    {"payonce_kv_evictions_total", "counter", "pool",
     "Cached KV blocks given up for others, by pool: full, sliding."},
    {"payonce_engine_requests", "gauge", "state", "Requests in the engine: running, waiting."},
    {"payonce_engine_tokens_total", "counter", "kind",
     "Tokens of the engine: prompt (asked for), computed (of prompts), output."},
    {"payonce_engine_preemptions_total", "counter", "",
     "Sequences set back because KV blocks ran out; their tokens are computed again."},
    {"payonce_engine_step_seconds", "histogram", "kind", "Time of one step of the engine: prefill, decode, mixed."},
    {"payonce_kv_store_blocks", "gauge", "tier", "Blocks in the KV block store, by tier: memory, disk."},
    {"payonce_kv_store_bytes", "gauge", "tier", "Bytes of the KV block store, by tier; of the disk: of its files."},
    {"payonce_kv_store_hits_total", "counter", "tier", "KV blocks read from the store, by tier."},
    {"payonce_kv_store_misses_total", "counter", "", "KV blocks asked of the store that it did not have."},
    {"payonce_kv_store_deduplicated_total", "counter", "", "KV blocks put into the store that it already had."},
    {"payonce_kv_store_damaged_total", "counter", "",
     "KV blocks that failed a check or could not be read; each became a miss."},
    {"payonce_kv_store_dropped_total", "counter", "",
     "KV blocks not written to the disk: the queue was full or the disk failing."},
    {"payonce_kv_store_evictions_total", "counter", "tier", "KV blocks dropped to make room, by tier."},
    {"payonce_embedder_queue", "gauge", "", "Texts waiting for the embedder."},
    {"payonce_embedder_seconds", "histogram", "phase",
     "Time of a text in the embedder: wait, compute (of its batch; of the call, when it is remote)."},
    {"payonce_embedder_texts_total", "counter", "outcome",
     "Texts given to the embedder: embedded, refused (queue full), failed."},
};

template <typename Metric>
using Families = std::map<std::string, prometheus::Family<Metric>*, std::less<>>;

}  // namespace

std::span<const MetricInfo> metric_table() { return kTable; }

void Counter::add(double amount) const {
  if (counter_ != nullptr) counter_->Increment(amount);
}
double Counter::value() const { return counter_ == nullptr ? 0 : counter_->Value(); }
void Gauge::set(double value) const {
  if (gauge_ != nullptr) gauge_->Set(value);
}
void Gauge::add(double amount) const {
  if (gauge_ != nullptr) gauge_->Increment(amount);
}
double Gauge::value() const { return gauge_ == nullptr ? 0 : gauge_->Value(); }
void Histogram::observe(double seconds) const {
  if (histogram_ != nullptr) histogram_->Observe(seconds);
}

struct Metrics::State {
  prometheus::Registry registry;
  Families<prometheus::Counter> counters;
  Families<prometheus::Gauge> gauges;
  Families<prometheus::Histogram> histograms;
};

Metrics::Metrics() : state_(std::make_unique<State>()) {
  for (const MetricInfo& row : kTable) {
    const std::string name(row.name);
    const std::string help(row.help);
    if (row.kind == "counter")
      state_->counters[name] = &prometheus::BuildCounter().Name(name).Help(help).Register(state_->registry);
    else if (row.kind == "gauge")
      state_->gauges[name] = &prometheus::BuildGauge().Name(name).Help(help).Register(state_->registry);
    else
      state_->histograms[name] = &prometheus::BuildHistogram().Name(name).Help(help).Register(state_->registry);
  }
}
Metrics::~Metrics() = default;

Counter Metrics::counter(std::string_view name, const Labels& labels) {
  const auto it = state_->counters.find(name);
  PAYONCE_ASSERT(it != state_->counters.end());
  return Counter(&it->second->Add(labels));
}

Gauge Metrics::gauge(std::string_view name, const Labels& labels) {
  const auto it = state_->gauges.find(name);
  PAYONCE_ASSERT(it != state_->gauges.end());
  return Gauge(&it->second->Add(labels));
}

Histogram Metrics::histogram(std::string_view name, const Labels& labels) {
  const auto it = state_->histograms.find(name);
  PAYONCE_ASSERT(it != state_->histograms.end());
  static const prometheus::Histogram::BucketBoundaries kSeconds = {
      0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
      0.05,    0.1,      0.25,    0.5,    1,       2.5,    5,     10,     30,    60,   300};
  return Histogram(&it->second->Add(labels, kSeconds));
}

std::string Metrics::exposition() const { return prometheus::TextSerializer().Serialize(state_->registry.Collect()); }

}  // namespace payonce::base
