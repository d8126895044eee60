// How long a written position should live: the short TTL, the long one, the short one kept alive by pings, or not at
// all.
//
// All costs are relative to one uncached input token, from this request to the position's next use (or to the horizon
// of the histogram, when there is none). F(t) = share of uses that are followed by another within t; a use that finds
// the position pays r, one that does not pays `miss` (1, or w where that use writes it anew):
//     none    1 + F(∞)·miss
//     short   w_s + F(s)·r + (F(∞) − F(s))·miss          long: the same with w_l and l
//     n pings w_s + r·Σ_{k=1..n}(1 − F(k·s)) + F((n+1)·s)·r + (F(∞) − F((n+1)·s))·miss
// A ping reads the position once (r a token) just before it would die; it is sent only while no use came.
// Threads: pure functions.  Units: milliseconds; factors relative to an uncached input token.
// Source: arithmetic on Anthropic's and OpenAI's price pages (2026-11): 5 min 1.25, 1 h 2.0, reads 0.1 to 0.025.
#pragma once

#include <cstdint>

#include "prefix/gate/gap_histogram.h"

namespace payonce::prefix {

struct TtlPrices {
  double write_short = 1.25;
  double write_long = 2.0;  // 0: the provider has no long TTL
  double read = 0.1;
  double miss = 1.0;
  int64_t short_ms = 300'000;
  int64_t long_ms = 3'600'000;
  uint32_t max_pings = 0;  // the operator's budget for one position
};

enum class Keep : uint8_t { kNone, kShort, kLong, kPings };

struct TtlChoice {
  Keep keep = Keep::kNone;
  uint32_t pings = 0;
  double cost = 1;
};

// The cheapest; on a tie the one that commits to less (none, short, pings, long). Nothing observed yet: none.
TtlChoice choose_ttl(const GapHistogram& gaps, const TtlPrices& prices);

// What is written already, for the short TTL: after how many pings without another use to let it die. 0: none is
// worth its price. A use that does not find it writes it anew. At most pings_before_rewrite(), pings_before_long()
// where there is a long TTL, and as many as the histogram sees.
uint32_t choose_pings(const GapHistogram& gaps, const TtlPrices& prices);

// How many pings still cost less than letting it die and writing again: the largest n with n·r <= w − r.
uint32_t pings_before_rewrite(double write, double read);
// How many pings still cost less than the long TTL's dearer write: the largest n with n·r <= w_l − w_s.
uint32_t pings_before_long(double write_short, double write_long, double read);

}  // namespace payonce::prefix
