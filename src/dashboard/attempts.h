// How often one address may try another credential where the admin token would be taken: a bucket of tries that fills
// again with time. A credential that was tried before is no new try, so callers that ask with their own keys are not
// slowed, however many of them share an address and whatever others guess from it.
// Threads: all any.  Bounded: kAddresses; the one that was not seen for longest is forgotten.
#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/hash.h"

namespace payonce::dashboard {

class Attempts {
 public:
  static constexpr size_t kAddresses = 1024;
  static constexpr double kBurst = 20;          // tries
  static constexpr int64_t kRefill_ms = 3'000;  // for one more
  static constexpr size_t kKnown = 128;         // credentials of an address that are remembered, those used last

  // False: none is left; do not even compare. REQUIRES: `credential` is not empty.
  bool may_try(std::string_view address, std::string_view credential, int64_t now_ms);
  void was_right(std::string_view address, std::string_view credential);  // gives its try back, if it took one

 private:
  struct Bucket {
    double left = kBurst;
    int64_t filled_ms = 0;
    std::deque<base::Hash128> known;    // of the credentials that were tried; the last one used at the end
    std::optional<base::Hash128> paid;  // took the last try, which was not given back
  };
  const base::KeyedHash hash_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;  // guarded by mutex_; by network
};

// Whom an address counts as: itself, or of IPv6 its /64, which one host has whole.
std::string network_of(std::string_view address);

}  // namespace payonce::dashboard
