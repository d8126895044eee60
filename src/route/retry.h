// The tries of one request over its candidates: which upstream next, and after what pause.
// A request that may have reached an upstream is not sent to the same one again unless the operator lists the status:
// it may have been billed.  Threads: one request's loop.
#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "route/routes.h"

namespace payonce::route {

struct RetryPolicy {
  int attempts = 3;  // tries in all
  int64_t base_pause_ms = 100;
  int64_t max_pause_ms = 5'000;
  std::vector<int> statuses;  // answers that are asked for again at the same upstream; default: none, the SDKs do it
};

class RetryState {
 public:
  RetryState(const RetryPolicy& policy, std::vector<UpstreamPtr> candidates)
      : policy_(policy), candidates_(std::move(candidates)) {}

  // The upstream to try; skips those whose breaker is open as long as there is another. Never null.
  UpstreamPtr next(int64_t now_ms);
  struct Failure {
    int status = 0;              // 0: no answer came
    bool sent = false;           // the request may have reached the upstream
    int64_t retry_after_ms = 0;  // as it asked
  };
  // Pause before the next try, or nullopt: give up and pass the failure on. Exponential, with full jitter (AWS
  // Architecture Blog, "Exponential Backoff And Jitter", 2015).
  std::optional<int64_t> pause_ms(const Failure& failure, std::minstd_rand& random);

 private:
  const RetryPolicy& policy_;
  const std::vector<UpstreamPtr> candidates_;
  size_t at_ = 0;
  int tries_ = 0;
};

}  // namespace payonce::route
