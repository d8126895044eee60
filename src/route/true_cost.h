// What a request costs at one upstream, the price of rebuilding its prefix there included: what is cached is read,
// the rest is written, and each of the turns that are still to come reads the whole.
// Threads: pure functions.  Unit: that of the rates, USD where prices are known.
#pragma once

#include <cstdint>

namespace payonce::route {

// Per token. `write` is what a token that is not cached costs: the written class where writes are billed apart, else
// the fresh one.
struct Rates {
  double read = 1, write = 1, output = 1;
};

struct Turns {
  double tokens = 0;  // of this prompt
  double grown = 0;   // by which each turn makes it longer
  double output = 0;  // of each answer
  double left = 0;    // turns after this one
};

// What is cached there is lost to whoever goes elsewhere, so the sum over all turns decides, not this turn alone.
inline double true_cost(const Rates& rates, double cached_tokens, const Turns& turns) {
  const double now = rates.read * cached_tokens + rates.write * (turns.tokens - cached_tokens);
  const double later = rates.read * turns.tokens + rates.write * turns.grown;
  return now + rates.output * turns.output + turns.left * (later + rates.output * turns.output);
}

}  // namespace payonce::route
