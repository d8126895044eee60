#pragma once

#include <cmath>

namespace payonce::base {

// The probability that a log-odds says; written so that neither side overflows.
inline double logistic(double log_odds) {
  return log_odds >= 0 ? 1 / (1 + std::exp(-log_odds)) : std::exp(log_odds) / (1 + std::exp(log_odds));
}

}  // namespace payonce::base
