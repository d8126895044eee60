// Keeping what was written into a provider's prompt cache alive between a session's requests, within a budget: which
// answered requests are worth pings, what a ping says, and what came of it in money. The gateway sends. Off unless
// the policy names a budget.  Threads: all any.  Owner: main; it outlives every request.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "pipeline/decision.h"
#include "pipeline/prefix_stage.h"
#include "prefix/keep_alive.h"
#include "record/ledger.h"

namespace payonce::pipeline {

// One request that may be sent, several times.
struct Ping {
  PreparedPtr prepared;  // of the request that it repeats: who pays, which model
  route::UpstreamPtr upstream;
  PolicyPtr policy;
  base::Bytes body;
};
using PingPtr = std::shared_ptr<const Ping>;

class KeepAliveStage {
 public:
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    record::Ledger& ledger;
    route::Limits& limits;
    PrefixStage& prefix;
  };
  explicit KeepAliveStage(Parts parts);

  // What earlier runs spent today counts against the budget, too. Blocks on the disk; no ping is sent before.
  void recall_today();

  // May this request, or the next one of its session, have to do with pings at all?
  bool concerns(const Forward& forward) const;
  // A request goes out to its first candidate. What was held of its session is void, and what was held of the tools
  // and the system text that it marks, too, since it reads them itself. `body`: the client's.
  void came(const Forward& forward, const base::Bytes& body);
  // Sends `number` of it when it is due. `bytes`: what it holds beside the ping.
  using Send = std::function<void(uint64_t number)>;
  using MakeSend = std::function<Send(PingPtr ping)>;
  // Its answer is complete. `body`: the client's. `make_send` is called if the request is worth pings.
  void answered(const Forward& forward, const base::Bytes& body, const Judged& judged, size_t bytes,
                const MakeSend& make_send);

  // Pings to send now; none whose caller has no budget left, or whose upstream fails. A policy other than the one
  // before makes all that was held void: keys and upstreams may be gone.
  std::vector<std::function<void()>> due(const Policy& policy);
  // A ping's outcome, once: an answer with this body, or none.
  void done(uint64_t number, const Ping& ping, int status, std::string_view body);
  void failed(uint64_t number, bool perhaps_sent);
  void forget_all() { keeper_.forget_all(); }

  prefix::KeepAlive::Stats stats() { return keeper_.stats(clock_.unix_ms()); }

 private:
  // Under which key a request is held: its conversation's; or, where nothing behind the system text is marked, that
  // of the marked front, which the account's sessions share.
  base::Hash128 conversation_key(const Prepared& prepared, const prefix::Prompt& prompt) const;
  base::Hash128 front_key(const Forward& forward, const route::Upstream& upstream, const prefix::Block& mark) const;
  uint32_t pings_worth(const llm::Price& price, const prompt_cache::Rule& rule);
  bool may_go(const Ping& ping) const;

  const base::Clock& clock_;
  record::Ledger& ledger_;
  route::Limits& limits_;
  PrefixStage& prefix_;
  const base::KeyedHash hash_;
  prefix::KeepAlive keeper_;
  std::atomic<bool> recalled_{false};
  std::atomic<uint64_t> generation_{0};
  base::Counter read_, written_, failed_, usd_;
  base::Counter fresh_tokens_, read_tokens_, write_tokens_, output_tokens_;
};

}  // namespace payonce::pipeline
