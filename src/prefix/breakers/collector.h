// Breaks of many requests as findings: one for each independent cause at one place of one call site.
// Threads: one at a time.  Memory: bounded by kMaxEntries.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "prefix/breakers/breaks.h"

namespace payonce::prefix {

// What a lost token cost more than a read one, and how many tokens an estimated one is.
struct TokenPrice {
  double usd = 0;  // paid for a token that had to be sent or written again, less the price of reading it
  double scale = 1;
};

class Collector {
 public:
  static constexpr size_t kMaxEntries = 10'000;

  // The breaks of one request. Each costs the tokens behind it up to the next one, or up to `shared_tokens`, where
  // the common part ends: mended in the order of the prefix, their savings add up to what the request lost. Breaks at
  // one position share its price.
  void add(std::vector<Break> breaks, const KeptRequest& now, uint32_t site, bool in_session, uint32_t shared_tokens,
           const TokenPrice& price);
  // A break whose price is known: `tokens` for which `price` was paid too much.
  void add_priced(const Break& one, const KeptRequest& now, uint32_t site, bool in_session, double tokens,
                  double usd);
  void count_session_pair(uint32_t site) { ++session_pairs_[site]; }

  std::vector<Finding> findings() const;

 private:
  struct Entry {
    Finding finding;
    uint32_t site = 0;
    bool is_slot = false;
    Guess guess = Guess::kOther;
    bool in_tools = false;
    std::string label;
    uint64_t in_session = 0, across = 0;  // changes inside a session, between sessions
    uint64_t returned = 0;                // times that a value came back
    std::map<uint64_t, uint64_t> values;  // hash of a value → times, the first 64
  };
  bool kind_of(const Entry& entry, Kind& kind) const;  // false: no breaker after all

  std::map<std::string, Entry> entries_;
  std::unordered_map<uint32_t, uint64_t> session_pairs_;
};

}  // namespace payonce::prefix
