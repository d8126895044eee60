// The cache map: the stages in their order, as two plain synchronous halves (see README.md).
// Threads: all methods any.  Owner: main; it outlives every request.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "cache/response_store.h"
#include "pipeline/decision.h"
#include "pipeline/explanations.h"
#include "pipeline/identify.h"
#include "pipeline/prefix_stage.h"
#include "pipeline/route_stage.h"
#include "pipeline/semantic_stage.h"
#include "record/ledger.h"

namespace payonce::pipeline {

class Pipeline {
 public:
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    cache::ResponseStore& store;
    record::Ledger& ledger;
    route::Limits& limits;
    identity::Profiles profiles;
    SemanticStage* semantic = nullptr;  // null: no such layer
    PrefixStage* prefix = nullptr;      // the same
  };
  Pipeline(Parts parts, PolicyPtr policy);
  ~Pipeline();

  struct Spent {             // microseconds; -1: did not happen
    int64_t started_us = 0;  // in: when the request began, on the monotonic clock
    int64_t parse_us = -1;   // identify
    int64_t lookup_us = -1;  // caches
  };
  // First half. Never blocks: memory only.
  Decision before(const Incoming& incoming, Spent& spent);
  // After a Load, on the worker pool: reads the disk, then decides as before() would have.
  Decision load(const Load& load);
  // The same when the pool is full: the disk is left alone, as on a miss.
  Decision without_load(const Load& load);
  // After a Search. `done` gets what before() would have said, on this thread or on one of the embedder's.
  void search(const Search& search, std::function<void(Decision)> done);
  // Before arrange(): what an engine is asked for, so that it knows what each engine holds of the prompt. Nothing: it
  // knows, or that does not count. Its answer, in time or not, goes to tokens_came().
  std::optional<TokenQuestion> token_question(Forward& forward, const base::Bytes& body);
  void tokens_came(const TokenQuestion& question, std::vector<uint32_t> tokens);
  // Before a forwarded request is sent: its candidates are ranked, and its front is made equal to that of earlier
  // ones, where the layer may.
  void arrange(Forward& forward, const base::Bytes& body);
  // Second half, in two steps, so that a client need not wait for the second. judge() reads the answer: is it
  // complete, what did it cost. settle() stores it if so, and records tokens and money.
  Judged judge(const Forward& forward, const Recorded& recorded) const;
  void settle(const Forward& forward, Recorded recorded, const Judged& judged);
  Judged after(const Forward& forward, Recorded recorded);  // both

  SemanticStage* semantic() const { return semantic_; }  // null: no such layer
  PrefixStage* prefix() const { return prefix_; }        // the same
  const RouteStage& route() const { return route_; }
  Explanations& explanations() { return explanations_; }
  // After a purge of the store: questions whose answers are no longer there.
  void forget_what_is_gone();

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
  Decision missed(const Incoming& incoming, PreparedPtr prepared, const Directives& directives,
                  const PolicyPtr& policy);
  Decision forward(PreparedPtr prepared, const Directives& directives, const PolicyPtr& policy, Forwarded why,
                   AskedQuestionPtr lookup = nullptr, std::string_view detail = {});
  Decision looked_up(const Search& search, std::string_view fault);
  Decision answer_by_meaning(const PreparedPtr& prepared, const Directives& directives, const PolicyPtr& policy,
                             const AskedQuestionPtr& lookup, const cache::Found& found);
  base::Result<Answer> answer(const PreparedPtr& prepared, const cache::EntryPtr& entry) const;
  Forward to_upstream(PreparedPtr prepared, const Directives& directives, const PolicyPtr& policy,
                      Forwarded why) const;
  void count_hit(const Answer& answer);
  void count_exact_miss(cache::MissReason why);
  void settle_semantic(const Forward& forward, const Recorded& recorded, const Judged& judged, int64_t expires_ms);
  void settle_prefix(const Forward& forward, const Judged& judged);
  cache::Found look_up(const std::string& key);
  std::optional<Refusal> check_limits(const std::string& caller, const Policy& policy);
  void count(llm::Dialect dialect, Outcome outcome) const;

  const base::Clock& clock_;
  cache::ResponseStore& store_;
  record::Ledger& ledger_;
  route::Limits& limits_;
  SemanticStage* const semantic_;
  PrefixStage* const prefix_;
  RouteStage route_;
  Identifier identifier_;
  Explanations explanations_;
  std::unique_ptr<Counters> counters_;
  mutable std::mutex policy_mutex_;
  PolicyPtr policy_;  // guarded by policy_mutex_
};

}  // namespace payonce::pipeline
