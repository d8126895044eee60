// How often one address may try another credential where the admin token would be taken: a bucket of tries that fills
// again with time. The same credential again is no new try, so a caller that asks with its own key is not slowed.
// Threads: all any.  Bounded: kAddresses; the one that was not seen for longest is forgotten.
#pragma once

#include <cstdint>
#include <mutex>
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

  // False: none is left; do not even compare. REQUIRES: `credential` is not empty.
  bool may_try(std::string_view address, std::string_view credential, int64_t now_ms);
  void was_right(std::string_view address);  // the last one: gives its try back

 private:
  struct Bucket {
    double left = kBurst;
    int64_t filled_ms = 0;
    base::Hash128 last{};  // of the credential that was tried last
    bool paid = false;     // it took a try that was not given back
  };
  const base::KeyedHash hash_;
  std::mutex mutex_;
  std::unordered_map<std::string, Bucket> buckets_;  // guarded by mutex_; by network
};

// Whom an address counts as: itself, or of IPv6 its /64, which one host has whole.
std::string network_of(std::string_view address);

}  // namespace payonce::dashboard
