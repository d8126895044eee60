// What a provider that bills writes would have billed: written positions live for a TTL from the start of the request
// that wrote or last read them. For simulations and tests; the gate itself does not use it. Threads: one at a time.
// Units: tokens, milliseconds. Source: Anthropic's and OpenAI's pages on prompt caching (2026-08, 2026-09).
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "prefix/gate/write_gate.h"

namespace payonce::prefix {

enum class Reading : uint8_t {
  kAnyWritten,  // the deepest live written position that is a prefix of the prompt
  kMarkedOnly,  // the deepest live written position that this request marks too
};

struct Billed {
  uint64_t read = 0, written = 0, fresh = 0;  // tokens
  Billed& operator+=(const Billed& other) {
    read += other.read, written += other.written, fresh += other.fresh;
    return *this;
  }
  uint64_t tokens() const { return read + written + fresh; }
  // Relative to all of it uncached; nothing: 1.
  double relative_cost(const Prices& prices) const {
    if (tokens() == 0) return 1;
    return (static_cast<double>(read) * prices.read + static_cast<double>(written) * prices.write +
            static_cast<double>(fresh)) /
           static_cast<double>(tokens());
  }
};

class ProviderModel {
 public:
  ProviderModel(Reading reading, int64_t ttl_ms) : reading_(reading), ttl_ms_(ttl_ms) {}
  // Prompts in the order of time.
  Billed bill(const Outline& prompt, std::span<const uint32_t> marks);

 private:
  bool live(const base::Hash128& chain, int64_t now_ms) const;
  void drop_dead(int64_t now_ms);

  Reading reading_;
  int64_t ttl_ms_;
  std::unordered_map<base::Hash128, int64_t, base::Hash128Hasher> touched_ms_;  // written or read last
  size_t drop_at_ = 4096;                                                       // entries
};

// The least that any choice of writes could have cost, had it known the future: a block of tokens is written if what
// is read of it, each use within the TTL of the one before, is worth more than the write. Fed a prompt at a time.
class Hindsight {
 public:
  Hindsight(const Prices& prices, int64_t ttl_ms) : prices_(prices), ttl_ms_(ttl_ms) {}
  void saw(const Outline& prompt);
  Billed billed() const;  // of what was seen so far

 private:
  struct Chain {
    int64_t last_ms = 0;
    uint32_t tokens = 0;  // of this block alone
    uint32_t uses = 0;    // that could read it
  };
  void close(const Chain& chain, Billed& into) const;

  Prices prices_;
  int64_t ttl_ms_;
  std::unordered_map<base::Hash128, Chain, base::Hash128Hasher> chains_;
  Billed closed_;
  uint64_t tokens_ = 0;
};

}  // namespace payonce::prefix
