// Which blocks are marked, within a provider's rules: never more than it takes, never below its minimum, never on a
// block that may not carry a marker, never where what comes before changes each time, no long TTL behind a short one.
// The client's own marks stay where they can be read; the write gate sets others where writing pays.
// Threads: all any (one lock).
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/little_endian.h"
#include "prefix/arrangement.h"
#include "prefix/gate/choose_ttl.h"
#include "prefix/gate/write_gate.h"
#include "prefix/prompt/prompt.h"
#include "prompt_cache/rules.h"

namespace payonce::prefix {

struct MarkRequest {
  const Prompt& prompt;
  const std::vector<SentBlock>& sent;
  bool keeps_automatic = true;  // the request's top-level cache_control stays
  uint32_t stable = 0;          // so many sent blocks, from the front, do not change each time
  const prompt_cache::Rule& rule;
  int64_t now_ms = 0;
  Hints hints;
};

struct MarkPlan {
  std::vector<Mark> marks;             // ascending
  uint32_t marked = 0, unmarked = 0;   // against the client's
  uint32_t shared_tokens = 0;          // estimate: of the prefix that an earlier request had
  uint32_t read_tokens = 0;            // estimate: of it, written and alive
  double reuse = 0;                    // P(a later request within the TTL goes on from this one's end)
  uint64_t number = 0;                 // for answered()
  std::vector<base::Hash128> written;  // prefixes that this request writes and that were not there
};

class Breakpoints {
 public:
  MarkPlan plan(const MarkRequest& request);
  void answered(uint64_t number, uint32_t output_tokens);
  // How many pings a prefix that is written for the short TTL is worth; 0 while too few gaps were seen.
  uint32_t pings_worth(const TtlPrices& prices);

  void save(std::string& out);
  bool load(base::NumberReader& from);

 private:
  std::mutex mutex_;
  std::unique_ptr<WriteGate> gate_;  // guarded by mutex_; made with the first request
};

MarkerSpelling spelling_of(const prompt_cache::Rule& rule);

}  // namespace payonce::prefix
