// What the agent cache counts, by kind.  Threads: any.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "agent/agent_cache.h"
#include "agent/kind.h"
#include "base/metrics.h"

namespace payonce::agent {

struct KindCounters {
  KindCounters(base::Metrics& metrics, const std::string& kind)
      : hit(metrics.counter("payonce_agent_lookups_total", {{"kind", kind}, {"outcome", "hit"}})),
        miss(metrics.counter("payonce_agent_lookups_total", {{"kind", kind}, {"outcome", "miss"}})),
        stale(metrics.counter("payonce_agent_lookups_total", {{"kind", kind}, {"outcome", "stale"}})),
        entries(metrics.gauge("payonce_entries", {{"layer", kind}})),
        bytes(metrics.gauge("payonce_bytes", {{"layer", kind}})),
        saved_usd(metrics.counter("payonce_saved_usd_total", {{"layer", kind}})),
        saved_tokens(metrics.counter("payonce_saved_tokens_total", {{"layer", kind}})) {}
  const base::Counter hit, miss, stale;
  const base::Gauge entries, bytes;
  const base::Counter saved_usd, saved_tokens;
  std::atomic<uint64_t> hits{0}, by_meaning{0}, dropped{0};
  std::array<std::atomic<uint64_t>, kReasons.size()> reasons{};
  std::atomic<int64_t> input{0}, output{0};
};

struct AgentCache::Counters {
  explicit Counters(base::Metrics& metrics) {
    for (const Kind kind : kKinds)
      kinds[static_cast<size_t>(kind)] = std::make_unique<KindCounters>(metrics, std::string(kind_name(kind)));
  }
  KindCounters& of(Kind kind) { return *kinds[static_cast<size_t>(kind)]; }
  std::array<std::unique_ptr<KindCounters>, kKinds.size()> kinds;
};

}  // namespace payonce::agent
