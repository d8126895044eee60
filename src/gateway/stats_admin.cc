// Sums: /metrics and /payonce/v1/stats. Those of all scopes tell when others ask and are answered, so they are for
// the admin and for who sits on this machine; a caller from elsewhere sees what is of its own scope.
#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <utility>

#include "gateway/admin.h"
#include "gateway/prefix_admin.h"
#include "gateway/retrieval_admin.h"
#include "gateway/route_admin.h"
#include "gateway/semantic_admin.h"

namespace payonce::gateway {
namespace json = boost::json;
namespace {

constexpr size_t kCountedEntries = 1000;  // of a scope; more are not counted

bool is_bought(std::string_view layer) { return layer == "upstream" || layer == "keep_alive"; }

}  // namespace

void Admin::metrics(const std::shared_ptr<net::Exchange>& exchange) {
  const bool open = options_.metrics_access == MetricsAccess::kAll ||
                    (options_.metrics_access == MetricsAccess::kLocal &&
                     guard_.is_local(exchange->head(), exchange->remote_address()));
  if (!open && !is_admin(*exchange)) return;
  options_.before_scrape();
  reply_text(*exchange, 200, "text/plain; version=0.0.4; charset=utf-8", parts_.metrics.exposition());
}

void Admin::stats(const std::shared_ptr<net::Exchange>& exchange) {
  const bool here = options_.guard.local_sessions && guard_.is_local(exchange->head(), exchange->remote_address());
  if (here) return reply_json(*exchange, 200, stats_json());
  bool all = false;
  std::string own;
  if (!visible_scope(*exchange, &own, &all)) return;
  if (all) return reply_json(*exchange, 200, stats_json());
  const bool queued = parts_.pool.post([this, exchange, own] {
    exchange->loop().post([this, exchange, body = scope_stats_json(own)] { reply_json(*exchange, 200, body); });
  });
  if (!queued) reply_error(*exchange, 503, "the worker queue is full; try again");
}

// Of this day (UTC), from the ledger: the counters of the process know no scopes.
std::string Admin::scope_stats_json(const std::string& scope) const {
  struct Sums {
    int64_t hits = 0, input = 0, output = 0;
    double usd = 0;
  };
  std::map<std::string, Sums> layers{{"exact", {}}};
  Sums saved;
  int64_t bought = 0;
  for (const record::LedgerRow& row : parts_.ledger.rows(1, scope)) {
    if (is_bought(row.layer)) {
      bought += row.requests;
      continue;
    }
    layers[row.layer].hits += row.requests;
    saved.input += row.input_tokens;
    saved.output += row.output_tokens;
    saved.usd += row.usd;
  }
  const auto entries = parts_.store.list({.scope = scope}, kCountedEntries);
  uint64_t bytes = 0;
  for (const cache::EntryInfo& entry : entries) bytes += entry.size_bytes;
  json::object out;
  for (const auto& [name, sums] : layers) out[name] = json::object{{"hits", sums.hits}};
  json::object& exact = out["exact"].as_object();
  exact["misses"] = bought;
  exact["entries"] = entries.size();
  exact["bytes"] = bytes;
  exact["reasons"] = json::object();
  return json::serialize(json::object{
      {"scope", scope},
      {"days", 1},
      {"layers", std::move(out)},
      {"saved", json::object{{"input_tokens", saved.input}, {"output_tokens", saved.output}, {"usd", saved.usd}}}});
}

std::string Admin::stats_json() const {
  const pipeline::ExactStage::Stats exact = parts_.pipeline.exact().stats();
  const cache::ResponseStore::Stats store = parts_.store.stats();
  json::object out{
      {"layers", json::object{{"exact", json::object{{"hits", exact.hits},
                                                     {"misses", exact.misses},
                                                     {"bypassed", exact.bypassed},
                                                     {"collapsed", exact.collapsed},
                                                     {"entries", std::max(store.memory_entries, store.disk_entries)},
                                                     {"bytes", store.memory_bytes},
                                                     {"disk_entries", store.disk_entries},
                                                     {"disk_bytes", store.disk_bytes},
                                                     {"evictions", store.evictions},
                                                     {"reasons", json::object{{"cold", exact.cold},
                                                                              {"expired", exact.expired},
                                                                              {"stale", exact.refreshed},
                                                                              {"fault", exact.fault}}}}}}},
      {"saved", json::object{{"input_tokens", exact.saved_input_tokens},
                             {"output_tokens", exact.saved_output_tokens},
                             {"usd", exact.saved_usd}}}};
  if (pipeline::SemanticStage* semantic = parts_.pipeline.semantic()) add_semantic(*semantic, out);
  if (const pipeline::PrefixStage* prefix = parts_.pipeline.prefix())
    out["layers"].as_object()["prefix"] = prefix_json(*prefix, parts_.keep_alive, *parts_.pipeline.policy());
  out["routing"] = routing_json(parts_.pipeline);
  if (parts_.retrieval != nullptr) out["layers"].as_object()["retrieval"] = retrieval_json(*parts_.retrieval);
  add_agent_kinds(out["layers"].as_object());
  if (options_.engine_stats) out["engine"] = json::parse(options_.engine_stats());
  return json::serialize(out);
}

}  // namespace payonce::gateway
