#include "prefix/gate/choose_ttl.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace payonce::prefix {
namespace {

constexpr double kTie = 1e-9;

uint32_t whole_times(double budget, double each) {
  if (each <= 0) return std::numeric_limits<uint32_t>::max();
  return budget <= 0 ? 0 : static_cast<uint32_t>(std::floor(budget / each + kTie));
}

}  // namespace

uint32_t pings_before_rewrite(double write, double read) { return whole_times(write - read, read); }

uint32_t pings_before_long(double write_short, double write_long, double read) {
  return whole_times(write_long - write_short, read);
}

TtlChoice choose_ttl(const GapHistogram& gaps, const TtlPrices& prices) {
  const double ever = gaps.share_within(kHorizonMs);
  const auto kept = [&](double write, double within) {
    return write + within * prices.read + (ever - within) * prices.miss;
  };
  TtlChoice best{.keep = Keep::kNone, .pings = 0, .cost = 1 + ever * prices.miss};
  const auto offer = [&](Keep keep, uint32_t pings, double cost) {
    if (cost < best.cost - kTie) best = {keep, pings, cost};
  };
  if (gaps.weight() <= 0) return best;

  offer(Keep::kShort, 0, kept(prices.write_short, gaps.share_within(prices.short_ms)));
  double pinged = 0;  // what the pings so far are expected to cost
  for (uint32_t n = 1; n <= prices.max_pings && n * prices.short_ms <= kHorizonMs; ++n) {
    pinged += (1 - gaps.share_within(n * prices.short_ms)) * prices.read;
    offer(Keep::kPings, n, kept(prices.write_short + pinged, gaps.share_within((n + 1) * prices.short_ms)));
  }
  if (prices.write_long > 0) offer(Keep::kLong, 0, kept(prices.write_long, gaps.share_within(prices.long_ms)));
  return best;
}

uint32_t choose_pings(const GapHistogram& gaps, const TtlPrices& prices) {
  if (prices.short_ms <= 0 || gaps.weight() <= 0) return 0;
  uint32_t most = pings_before_rewrite(prices.write_short, prices.read);
  if (prices.write_long > 0)
    most = std::min(most, pings_before_long(prices.write_short, prices.write_long, prices.read));
  const double ever = gaps.share_within(kHorizonMs);
  const auto used = [&](uint32_t pings) {
    const double within = gaps.share_within((pings + 1) * prices.short_ms);
    return within * prices.read + (ever - within) * prices.write_short;
  };
  uint32_t best = 0;
  double best_cost = used(0), pinged = 0;
  for (uint32_t n = 1; n <= most && n * prices.short_ms <= kHorizonMs; ++n) {
    pinged += (1 - gaps.share_within(n * prices.short_ms)) * prices.read;
    if (const double cost = pinged + used(n); cost < best_cost - kTie) best = n, best_cost = cost;
  }
  return best;
}

}  // namespace payonce::prefix
