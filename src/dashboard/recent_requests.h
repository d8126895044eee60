// The requests that finished last, for the live list of the dashboard and for GET /payonce/v1/requests, and what the
// last hour was like. Writing is on the way of every request: one lock, one slot written in place, no allocation once
// the slot has been used. Readers come to it; it knows none of them.
// Threads: all any.  Bounded: kKept requests, sixty minutes.  Holds no text of any prompt or answer.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "dashboard/last_hour.h"
#include "llm/dialect.h"

namespace payonce::dashboard {

// What became of one request. The views are static text.
struct Facts {
  uint64_t id = 0;  // of its explanation; 0: none
  int64_t at_ms = 0;
  llm::Dialect dialect = llm::Dialect::kOther;
  int status = 0;             // as sent; 499: the client left
  std::string_view outcome;   // hit, miss, bypass, stale, request, refused
  std::string_view layer;     // that answered; empty: none
  std::string_view reason;    // why the exact layer did not, or why it was refused
  std::string_view semantic;  // why the semantic layer did not; empty: not asked
  bool collapsed = false;     // got the answer of an equal request in flight
  int64_t total_us = 0;       // first byte in to last byte out
  int64_t own_us = 0;         // of these, in identifying and looking up
  int64_t upstream_us = -1;   // to the first byte of the upstream's answer; -1: not asked
  int64_t input_tokens = 0;   // bought, or of a hit: not bought
  int64_t output_tokens = 0;
  double usd = 0;  // spent, or of a hit: saved
};

// Copied by add(), which writes them where older ones were.
struct Names {
  std::string_view scope;     // empty: not known, shown to the admin alone
  std::string_view model;     // empty: none
  std::string_view upstream;  // that answered; empty: none did
};

struct RecentRequest {
  uint64_t sequence = 0;  // grows by one with each request, and over restarts
  Facts facts;
  std::string scope, model, upstream;
};

// Whose requests may be seen.
struct Viewer {
  bool all = false;   // the admin
  std::string scope;  // else of this one alone; never empty
};

class RecentRequests {
 public:
  static constexpr size_t kKept = 1024;  // requests
  explicit RecentRequests(int64_t now_ms);

  void add(const Names& names, const Facts& facts);

  // Sequence of the newest; cheap.
  uint64_t latest() const { return latest_.load(std::memory_order_acquire); }
  // What came after `sequence` and may be seen, oldest first: the newest `limit` of it. A sequence that was never
  // given out (of another run) counts as 0.
  std::vector<RecentRequest> after(uint64_t sequence, size_t limit, const Viewer& viewer) const;
  LastHour last_hour() const;  // a copy
  LastHour::Minute this_minute(int64_t now_ms) const;

 private:
  mutable std::mutex mutex_;
  const uint64_t first_;
  std::atomic<uint64_t> latest_;     // written under mutex_
  std::vector<RecentRequest> ring_;  // guarded by mutex_; by sequence
  LastHour last_hour_;               // guarded by mutex_
};

}  // namespace payonce::dashboard
