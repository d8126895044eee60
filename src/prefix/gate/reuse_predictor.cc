#include "prefix/gate/reuse_predictor.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace payonce::prefix {
namespace {

// Chosen on two public traces, pieces of them and one generated trace; halving or doubling them changes little:
// docs/prefix-gate.md.
constexpr double kFactorBelief = 12;     // events, k
constexpr double kBinBelief = 1;         // events …
constexpr double kMaxBinBelief = 40;     // … or this many positions that lived through the bin, whichever is less
constexpr double kHazardAtOnce = 0.005;  // uses a second at age 0, before anything is learned …
constexpr double kFadeMs = 60'000;       // … falling with exp(−(age/60 s)^0.6): a third within 5 min
constexpr double kFadePower = 0.6;
constexpr double kMaxRatio = 20;
// What was learned long ago counts less: a sum that reaches its limit is halved.
constexpr double kFactorMemory = 4'000;  // expected events
constexpr double kBinMemory = 40'000;    // positions

double prior_hazard(size_t bin) {
  static const std::array<double, kAgeBins> hazards = [] {
    std::array<double, kAgeBins> out{};
    for (size_t i = 0; i < kAgeBins; ++i) {
      const auto from = static_cast<double>(age_edges_ms()[i]), to = static_cast<double>(age_edges_ms()[i + 1]);
      out[i] = kHazardAtOnce * std::exp(-std::pow(from / kFadeMs, kFadePower)) * (to - from) / 1000;
    }
    return out;
  }();
  return hazards[bin];
}

}  // namespace

double ReusePredictor::base(size_t bin) const {
  const double prior = prior_hazard(bin);
  const double positions = std::min(kBinBelief / prior, kMaxBinBelief);
  return (bins_[bin].observed + prior * positions) / (bins_[bin].expected + positions);
}

double ReusePredictor::ratio(uint8_t factor) const {
  const Ratio& at = factors_[factor];
  return (at.observed + kFactorBelief * Situation::prior(factor)) / (at.expected + kFactorBelief);
}

double ReusePredictor::probability(const Situation& situation, int64_t ttl_ms) const {
  if (ttl_ms <= 0) return 0;
  double product = 1;
  for (const uint8_t factor : situation.factors()) product *= ratio(factor);
  const AgePlace end = age_place(ttl_ms);
  double sum = end.fraction * base(end.bin);
  for (size_t bin = 0; bin < end.bin; ++bin) sum += base(bin);
  return 1 - std::exp(-std::min(product, kMaxRatio) * sum);
}

void ReusePredictor::learn(const Situation& situation, size_t bin, double exposure, bool used) {
  const double hazard = base(bin) * exposure;
  double explained = 1;
  for (const uint8_t factor : situation.factors()) {
    const double own = ratio(factor);
    Ratio& at = factors_[factor];
    at.observed += used ? 1 : 0;
    at.expected += explained * hazard;
    explained *= own;
    if (at.expected > kFactorMemory) at.expected /= 2, at.observed /= 2;
  }
  Ratio& at = bins_[bin];
  at.observed += used ? 1 : 0;
  at.expected += std::min(explained, kMaxRatio) * exposure;
  if (at.expected > kBinMemory) at.expected /= 2, at.observed /= 2;
}

void ReusePredictor::save(std::string& out) const {
  const auto put = [&](const Ratio& at) {
    base::put_number(out, std::bit_cast<uint64_t>(at.observed));
    base::put_number(out, std::bit_cast<uint64_t>(at.expected));
  };
  for (const Ratio& at : factors_) put(at);
  for (const Ratio& at : bins_) put(at);
}

bool ReusePredictor::load(base::NumberReader& from) {
  bool good = true;
  const auto take = [&](Ratio& at) {
    at.observed = std::bit_cast<double>(from.number<uint64_t>());
    at.expected = std::bit_cast<double>(from.number<uint64_t>());
    good = good && std::isfinite(at.observed) && std::isfinite(at.expected) && at.observed >= 0 && at.expected >= 0;
  };
  for (Ratio& at : factors_) take(at);
  for (Ratio& at : bins_) take(at);
  good = good && from.ok();
  if (!good) *this = {};
  return good;
}

}  // namespace payonce::prefix
