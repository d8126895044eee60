// The write gate over a block trace, beside simpler policies: what each would have cost.
// Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "prefix/gate/provider_model.h"
#include "prefix/gate/write_gate.h"

namespace payonce {

struct PolicyCost {
  std::string name;
  prefix::Billed billed;            // under Reading::kAnyWritten
  double relative_cost = 1;         // of it
  double relative_cost_marked = 1;  // under Reading::kMarkedOnly
};

struct GateSimulation {
  uint64_t requests = 0;
  uint64_t marks = 0;
  double decide_us_mean = 0;
  std::vector<PolicyCost> policies;  // the gate's first
};

struct GateObserver {
  std::function<bool(std::span<const uint32_t> marks)> decided;  // false: stop, the decision could not be kept
  std::function<void(uint64_t requests)> progress;               // every kProgressRequests
};
inline constexpr uint64_t kProgressRequests = 100'000;

// kInvalid: the trace's line and what is wrong with it. kCancelled: the observer stopped it.
base::Result<GateSimulation> simulate_gate(const std::string& trace, const prefix::Terms& terms,
                                           const GateObserver& observer);

}  // namespace payonce
