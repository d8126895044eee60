// Everything that a reload may change, as one immutable value. A request uses the policy that it began with.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "identity/scope.h"
#include "llm/prices.h"
#include "route/limits.h"
#include "route/placement.h"
#include "route/retry.h"
#include "route/routes.h"

namespace payonce::pipeline {

struct Policy {
  uint64_t generation = 0;  // unique within the process
  identity::Callers callers;
  route::Routes routes;
  llm::PriceTable prices;
  int64_t ttl_s = 24 * 3600;
  route::Limit limit;                          // of each caller
  std::map<std::string, route::Limit> limits;  // of a virtual key, by its name; a zero in it means `limit`'s
  route::RetryPolicy retry;
  route::RoutingPolicy routing = route::RoutingPolicy::kOrder;
  int64_t tokenize_within_ms = 20;  // how long a request waits to learn which tokens it is; 0: not
  bool exact = true;                // --layers names it
  bool semantic = false;            // the same, and there is a stage for it
  bool cache_sampled = true;        // policy.sampled
  struct Prefix {
    route::PrefixMode mode =
        route::PrefixMode::kOff;       // of upstreams that have none of their own; kOff: no such layer
    std::vector<std::string> move;     // models or patterns whose volatile text may be moved
    std::vector<std::string> context;  // whose documents may be ordered
    std::vector<std::string> repeats;  // whose repeated documents may be left out
    route::CompactionMode compaction = route::CompactionMode::kOff;
    int64_t hold_ms = 3000;             // how long a request waits for the first write of its prefix; 0: not
    double keep_alive_usd_per_day = 0;  // for pings; 0: none is sent
  } prefix;

  route::Limit limit_of(const std::string& caller) const;
};
using PolicyPtr = std::shared_ptr<const Policy>;

inline route::Limit Policy::limit_of(const std::string& caller) const {
  route::Limit out = limit;
  if (const auto own = limits.find(caller); own != limits.end()) {
    if (own->second.requests_per_minute > 0) out.requests_per_minute = own->second.requests_per_minute;
    if (own->second.budget_usd_per_day > 0) out.budget_usd_per_day = own->second.budget_usd_per_day;
  }
  return out;
}

}  // namespace payonce::pipeline
