// What the calls of a log used and cost.  Threads: pure functions.
#pragma once

#include "history/log.h"
#include "llm/prices.h"

namespace payonce::history {

struct Totals {
  uint64_t requests = 0;
  uint64_t without_usage = 0;  // their tokens are unknown and counted as 0
  uint64_t from_cache = 0;     // answered by a cache of the log's own: no tokens were bought
  uint64_t unpriced = 0;       // of a model that the price table does not have
  llm::Usage usage;            // of what was bought
  bool output_is_floor = false;
  double cost_usd = 0;      // at the list prices of each call's day
  double uncached_usd = 0;  // the same tokens without any prompt cache
  double billed_usd = 0;    // sum of what the log names
};

// A call's cost at the list price of its day (without time: of today's last row).
double cost_usd(const Call& call, const llm::PriceTable& prices);
double uncached_usd(const Call& call, const llm::PriceTable& prices);
Totals totals(const Log& log, const llm::PriceTable& prices);

}  // namespace payonce::history
