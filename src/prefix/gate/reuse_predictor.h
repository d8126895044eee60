// Learns how likely a position of a prompt is read again within a TTL, from traffic alone.
//
// The hazard of being used at age a, given no use before, is base(a) · Π factor ratios (proportional hazards). The
// base is learned a bin of age, a ratio a factor, each as events observed over events expected, (O + k·prior) / (E +
// k): the Poisson estimate with k events of prior belief, no learning rate. Factors explain in their order: what the
// ones before already expect is not credited twice. Survival makes labels exact: a position that waits counts for the
// ages that it has passed, so nothing waits for the TTL to end before it teaches, and quick uses do not look more
// frequent than they are.
//
// Threads: one at a time.  Bounded: 256 factors and 29 bins.  Deterministic.
// Source: Cox 1972 (proportional hazards); Breslow 1974 (the base as observed over expected).
#pragma once

#include <array>
#include <string>

#include "base/little_endian.h"
#include "prefix/gate/gap_histogram.h"
#include "prefix/gate/situation.h"

namespace payonce::prefix {

class ReusePredictor {
 public:
  // P(a use within `ttl_ms` of now), the position being written now. Beyond the horizon of an hour: that of the
  // horizon.
  double probability(const Situation& situation, int64_t ttl_ms) const;

  // The position lived through this bin of age without a use.
  void passed(const Situation& situation, size_t bin) { learn(situation, bin, 1, false); }
  // It was used for the first time at this place; the bins before were told by passed().
  void used(const Situation& situation, AgePlace at) { learn(situation, at.bin, at.fraction, true); }

  void save(std::string& out) const;
  bool load(base::NumberReader& from);  // false: not such bytes; nothing is then known

 private:
  struct Ratio {
    double observed = 0, expected = 0;
  };
  double base(size_t bin) const;
  double ratio(uint8_t factor) const;
  void learn(const Situation& situation, size_t bin, double exposure, bool used);

  std::array<Ratio, Situation::kFactorCount> factors_{};
  std::array<Ratio, kAgeBins> bins_{};
};

}  // namespace payonce::prefix
