// The cache map: the stages in their order, as two plain synchronous halves (see README.md).
// Threads: all methods any.  Owner: main; it outlives every request.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "cache/response_store.h"
#include "pipeline/accounts.h"
#include "pipeline/decision.h"
#include "pipeline/exact_stage.h"
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
    size_t raw_keys = 65'536;           // requests whose identification is remembered, for byte-equal repeats
    size_t explained_bytes = 16 << 20;  // of bodies that went upstream, to compare later ones with
  };
  Pipeline(Parts parts, PolicyPtr policy);

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
  // Second half, in two steps. keep() reads the answer (is it complete, what did it cost) and stores it if so; the
  // client gets the end of it after that, so that whoever has an answer never pays for it again. settle() records
  // what the client need not wait for: its question, tokens, money.
  Kept keep(const Forward& forward, Recorded recorded);
  void settle(const Forward& forward, const Kept& kept);
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

  ExactStage& exact() { return exact_; }

 private:
  Decision pass_through(const Incoming& incoming, const PolicyPtr& policy);
  Decision answer_exactly(Request request, cache::Found found);
  Decision search_by_meaning(const Incoming& incoming, Request request);
  Decision searched(const Search& search, std::string_view fault);
  Decision answer_by_meaning(const Request& request, const AskedQuestionPtr& lookup, const cache::Found& found);
  Decision found_on_disk(const Load& load, cache::Found found);
  Decision forward(Request request, Forwarded why, AskedQuestionPtr lookup = nullptr, std::string_view detail = {});
  Forward to_upstream(Request request, Forwarded why) const;
  Judged judge(const Forward& forward, const Recorded& recorded) const;
  void store(const Forward& forward, Recorded recorded, const Kept& kept);

  const base::Clock& clock_;
  Identifier identifier_;
  ExactStage exact_;
  SemanticStage* const semantic_;
  PrefixStage* const prefix_;
  RouteStage route_;
  Accounts accounts_;
  Explanations explanations_;
  mutable std::mutex policy_mutex_;
  PolicyPtr policy_;  // guarded by policy_mutex_
};

}  // namespace payonce::pipeline
