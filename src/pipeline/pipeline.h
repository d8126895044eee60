// The cache map: the stages in their order, as two plain synchronous halves (see README.md).
// Threads: all methods any.  Owner: main; it outlives every request.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "base/clock.h"
#include "base/metrics.h"
#include "cache/response_store.h"
#include "pipeline/decision.h"
#include "pipeline/identify.h"
#include "record/ledger.h"

namespace payonce::pipeline {

class Pipeline {
 public:
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    cache::ResponseStore& store;
    record::Ledger& ledger;
    identity::Profiles profiles;
  };
  Pipeline(Parts parts, PolicyPtr policy);
  ~Pipeline();

  // First half. Never blocks: memory only.
  Decision before(const Incoming& incoming);
  // After a Load, on the worker pool: reads the disk, then decides as before() would have.
  Decision load(const Load& load);
  // Second half. Stores a complete, successful answer; records tokens and money.
  Written after(const Forward& forward, Recorded recorded);

  // Requests that begin from now on use this policy.
  void set_policy(PolicyPtr policy);
  PolicyPtr policy() const;

  // hits, misses by reason: for /payonce/v1/stats.
  struct ExactStats {
    uint64_t hits = 0, misses = 0, bypassed = 0, collapsed = 0;
    uint64_t cold = 0, expired = 0, refreshed = 0, fault = 0;  // of the misses
    uint64_t saved_input_tokens = 0, saved_output_tokens = 0;
    double saved_usd = 0;
  };
  ExactStats exact_stats() const;
  void count_collapsed();

 private:
  struct Counters;
  Decision decide(PreparedPtr prepared, const Directives& directives, const PolicyPtr& policy, cache::Found found);
  Decision pass_through(const Incoming& incoming, const PolicyPtr& policy);
  Decision forward(PreparedPtr prepared, const Directives& directives, const PolicyPtr& policy, Forwarded why,
                   bool lookup_done);
  base::Result<Answer> answer(const PreparedPtr& prepared, const cache::EntryPtr& entry) const;
  cache::Found look_up(const std::string& key);
  void count(llm::Dialect dialect, std::string_view layer, Outcome outcome);

  const base::Clock& clock_;
  cache::ResponseStore& store_;
  record::Ledger& ledger_;
  Identifier identifier_;
  std::unique_ptr<Counters> counters_;
  mutable std::mutex policy_mutex_;
  PolicyPtr policy_;  // guarded by policy_mutex_
};

}  // namespace payonce::pipeline
