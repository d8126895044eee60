// Prefixes that are being written right now: what a provider's cache holds can be read only when the answer to the
// request that wrote it has begun. Requests of a fan-out wait for the first of them.
// Threads: all any; callbacks come on the thread that ended the wait.  Bounded: by the requests in flight.
// Source: Anthropic's page on prompt caching (2026-08): an entry is readable once the first response has begun.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/hash.h"

namespace payonce::prefix {

class FirstWrites {
 public:
  // A request begins that writes these prefixes. The ticket is for done(). Those that another writes stay its.
  uint64_t begin(const std::vector<base::Hash128>& chains);
  // Its answer has begun, or it has failed: who waits goes on.
  void done(uint64_t ticket);

  bool is_written_now(const base::Hash128& chain) const;
  // Calls `then` once the prefix can be read; false (and never calls): nobody is writing it.
  bool wait(const base::Hash128& chain, std::function<void()> then);

 private:
  struct Writer {
    uint64_t ticket = 0;
    std::vector<std::function<void()>> waiting;
  };
  mutable std::mutex mutex_;
  uint64_t last_ticket_ = 0;                                                // guarded by mutex_
  std::unordered_map<base::Hash128, Writer, base::Hash128Hasher> writers_;  // guarded by mutex_; by prefix
  std::unordered_map<uint64_t, std::vector<base::Hash128>> of_ticket_;      // guarded by mutex_
};

}  // namespace payonce::prefix
