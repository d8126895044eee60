// How often each collection was written to. A list is valid for the epoch that it was asked in; a write makes a new
// one when it is sent, and again when it is answered, so that a list read while it was under way is not kept.
// Collections share a fixed number of counters by hash: two of one counter invalidate each other needlessly, no more.
// Threads: all any, without a lock.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "base/hash.h"

namespace payonce::retrieval {

class Epochs {
 public:
  struct Now {
    uint64_t epoch = 0;
    bool settled = true;  // no write may be waiting to be applied: what is read now may be kept
  };
  Now now(std::string_view store, std::string_view collection, int64_t now_us) const;
  // `collection` empty: every one of the store. Lists read before `settled_us` (monotonic) are not kept.
  void write(std::string_view store, std::string_view collection, int64_t settled_us);

 private:
  static constexpr size_t kCounters = 1u << 14;
  struct Counter {
    std::atomic<uint64_t> epoch{0};
    std::atomic<int64_t> settled_us{0};
  };
  Counter& counter(std::string_view store, std::string_view collection) const;

  const base::KeyedHash hash_;
  std::unique_ptr<std::array<Counter, kCounters>> counters_ = std::make_unique<std::array<Counter, kCounters>>();
};

}  // namespace payonce::retrieval
