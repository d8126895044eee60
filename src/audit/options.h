// What a replay assumes of the Payonce that would have served the log.  Threads: values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "llm/prices.h"
#include "route/routes.h"

namespace payonce::audit {

// Whose answers may be given to whom: what would be the credential, or X-Payonce-Scope, of a call.
enum class Sharing : uint8_t {
  kUser,     // each user of the log; calls without one have one scope together
  kSession,  // each conversation
  kAll,      // one scope: an application with one key
};

struct Options {
  bool exact = true;
  bool semantic = true;                                   // where there is an embedder
  route::PrefixMode prefix = route::PrefixMode::kSafe;    // kOff: no such layer
  std::vector<std::string> move;                          // models whose volatile text may be moved; "*": all
  double error_bound = 0.01;                              // of the semantic layer
  int64_t ttl_s = 24 * 3600;                              // of answers
  uint64_t memory_bytes = (256ull << 20) + (1ull << 30);  // of answers, both tiers of `serve` together
  bool cache_sampled = true;                              // policy.sampled
  Sharing sharing = Sharing::kUser;
  std::string provider;  // whose cache rules hold, by id of docs/providers.md; empty: as the log and the model say
  llm::PriceTable prices = llm::PriceTable::built_in();
};

}  // namespace payonce::audit
