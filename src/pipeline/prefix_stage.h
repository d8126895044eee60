// The prefix layer as a stage: which mode an upstream's requests are in, what its provider's rules are, and what came
// of each plan, for stats and metrics. Threads: all any.  Owner: main; it outlives every request.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "pipeline/breaker_watch.h"
#include "pipeline/decision.h"
#include "prefix/optimizer.h"

namespace payonce::pipeline {

// What providers say of their own misses: Anthropic's cache_miss_reason types, OpenAI's prompt_cache_diagnostics
// reasons (2026-09). The last stands for every other word.
inline constexpr std::array<std::string_view, 16> kProviderReasons = {"model_changed",
                                                                      "system_changed",
                                                                      "tools_changed",
                                                                      "messages_changed",
                                                                      "input_changed",
                                                                      "prompt_cache_key_changed",
                                                                      "text_format_changed",
                                                                      "reasoning_effort_changed",
                                                                      "verbosity_changed",
                                                                      "context_compacted",
                                                                      "service_tier_changed",
                                                                      "previous_message_not_found",
                                                                      "comparison_response_not_found",
                                                                      "unavailable",
                                                                      "cache_miss",
                                                                      "other"};

class PrefixStage {
 public:
  struct Parts {
    const base::Clock& clock;
    base::Metrics& metrics;
    BreakerWatch::Post post;                    // to the worker pool
    std::function<void()> save_soon = nullptr;  // called at most once a minute, from settle()
    size_t breaker_bytes = 64u << 20;           // of requests that breakers are looked for in
  };
  PrefixStage(Parts parts, prefix::Optimizer::Options options);
  ~PrefixStage();

  // Before a request goes to forward.candidates.front(): what to send. Null: the layer has no part in it. `parsed`:
  // the body, read already; null: it is read here.
  PrefixPlanPtr plan(const Forward& forward, const base::Bytes& body, const llm::Request* parsed = nullptr);
  // Of a fan-out: calls `then` when the prefix that another request is writing can be read; false: it can be now.
  bool hold(const prefix::Plan& plan, std::function<void()> then);
  // The answer has begun, or never will.
  void begun(const prefix::Plan& plan) { optimizer_.begun(plan); }
  // The answer to a request has come. Returns its plan, which of a request that was only looked at is made now; null:
  // the layer has no part in it.
  PrefixPlanPtr settle(const Forward& forward, const Judged& judged);
  const BreakerWatch& breakers() const { return breakers_; }

  struct Stats {
    uint64_t planned = 0, changed = 0, held = 0, faults = 0;
    std::array<uint64_t, prefix::kActs> acts{};
    uint64_t requests = 0, hits = 0;            // whose usage was known; of these, that read from a cache
    uint64_t fresh = 0, read = 0, written = 0;  // tokens of their input
    double plan_us = 0;                         // mean time of a plan
    std::array<uint64_t, kProviderReasons.size()> provider_says{};
    prefix::Optimizer::Sizes sizes;
  };
  Stats stats() const;

  prefix::Optimizer& optimizer() { return optimizer_; }

  static prefix::Mode mode_for(const Forward& forward);

 private:
  struct Counters;
  void billed(const prefix::Plan& plan, const llm::Usage& usage);
  void watch(const Forward& forward, const llm::Usage& billed);  // for what breaks prefixes, beside the requests
  void save_now_and_then();
  const base::Clock& clock_;
  const std::function<void()> save_soon_;
  std::atomic<int64_t> saved_ms_{0};
  prefix::Optimizer optimizer_;
  BreakerWatch breakers_;
  std::unique_ptr<Counters> counters_;
};

}  // namespace payonce::pipeline
