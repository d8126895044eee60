// What Placement and Trip keep; for their own files alone.  Threads: under Placement's lock.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/metrics.h"
#include "route/placement.h"

namespace payonce::route {

// One upstream, by name and identity: a reload that keeps both keeps it.
struct Place {
  explicit Place(size_t max_positions) : memory(max_positions) {}
  std::string name;
  uint64_t id = 0;  // a hash of name and identity, the same in every process
  PrefixMemory memory;
  uint64_t losses = 0;  // of its cache, as its engine told, when it was last looked at
  int64_t asked_ms = 0;
  int64_t in_flight = 0;
  double queue_tokens = 0;   // that wait for the first byte of their answers
  double recent_tokens = 0;  // that were sent to be computed, each half as much after kHalfLife_ms
  int64_t recent_ms = 0;     // as of then
  double us_per_token = 0;   // 0: not measured yet
  double kept = 1;
  double capacity_tokens = 0;  // of its cache, as learnt from what it lost; 0: it lost nothing yet
  uint64_t requests = 0, expected = 0, read = 0;
  base::Gauge in_flight_gauge;
};

// One candidate for one request.
struct Stop {
  Candidate candidate;
  std::shared_ptr<Place> place;
  PrefixMemory::Found found;  // or, in its tokens, what its engine told
  double cached_tokens = 0;   // what was found; where money decides, times what is usually kept
  double score = 0;           // balance: expected time; order, cost: true cost
  bool open = false;          // its breaker
};

}  // namespace payonce::route
