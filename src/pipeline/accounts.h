// What requests come to: how many of which outcome, tokens and money, bought and saved, and whose limits they touch.
// Threads: all methods any.  Owner: the pipeline.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "pipeline/decision.h"
#include "record/ledger.h"
#include "route/limits.h"

namespace payonce::pipeline {

class Accounts {
 public:
  Accounts(const base::Clock& clock, base::Metrics& metrics, record::Ledger& ledger, route::Limits& limits);

  // A refusal when this caller has used up its rate or budget; it is told when to come back.
  std::optional<Refusal> over_limit(const std::string& caller, const Policy& policy);
  void forwarded(llm::Dialect dialect, Outcome outcome);
  void saved(const Answer& answer);
  void bought(const Prepared& prepared, const Judged& judged);

 private:
  static constexpr size_t kDialects = static_cast<size_t>(llm::Dialect::kOther) + 1;
  static constexpr size_t kOutcomes = static_cast<size_t>(Outcome::kStale) + 1;

  const base::Clock& clock_;
  record::Ledger& ledger_;
  route::Limits& limits_;
  // Handles looked up once: the hit path takes no lock of the metrics registry.
  std::array<std::array<base::Counter, kOutcomes>, kDialects> requests_;
  std::array<base::Counter, kDialects> semantic_hits_;
  base::Counter fresh_, read_, write_, output_;
};

}  // namespace payonce::pipeline
