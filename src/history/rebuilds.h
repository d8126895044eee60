// Requests that paid for a prefix which the request before them had in the provider's cache.
// Rule: the request read less than half of what the previous request of its session had there (read + written), and
// at least 10,000 tokens less. The cause is the first that holds: another model; the client summarised its history,
// or sends less than 70 % of the previous prompt; more time between the starts than the class of the last write
// lives; else the bytes of the prefix changed.  Threads: pure functions.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "history/log.h"
#include "llm/prices.h"

namespace payonce::history {

enum class RebuildCause : uint8_t { kModel, kCompact, kTtl, kPrefix };
std::string_view cause_name(RebuildCause cause);  // "model", "compact", "ttl", "prefix"

struct Rebuild {
  size_t call = 0;  // index into Log::calls
  size_t previous = 0;
  RebuildCause cause = RebuildCause::kPrefix;
  int64_t had = 0;  // tokens that the previous request read and wrote
  int64_t read = 0;
  int64_t wrote = 0;
  int64_t short_tokens = 0;  // had − read
  int64_t gap_ms = 0;        // between the starts
  double cost_usd = 0;       // more than reading them would have cost
};

inline constexpr int64_t kMinRebuildTokens = 10'000;

// In the order of the calls. Sessions are told apart by Call::session; calls without one are left out.
std::vector<Rebuild> rebuilds(const Log& log, const llm::PriceTable& prices);

}  // namespace payonce::history
