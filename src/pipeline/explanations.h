// Why the last requests hit or missed: for `payonce cache why ID` and GET /payonce/v1/explain. Each answer carries
// the id of its request in X-Payonce-Id. Threads: all any (one lock, held for copies of handles only).  Bounded: the
// last kKept requests; bodies of those that went upstream, up to max_body_bytes in all, so that a miss can be
// compared with what came before it.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "pipeline/decision.h"
#include "prefix/compare.h"

namespace payonce::pipeline {

// What is kept of one request.
struct Explained {
  uint64_t id = 0;  // 0: none
  int64_t at_ms = 0;
  PreparedPtr prepared;
  std::string_view outcome;                  // hit, miss, bypass, stale, request (static)
  std::string_view layer;                    // that answered; empty: none
  std::string_view exact, semantic, detail;  // why these layers did not answer; empty: they were not asked
  bool collapsed = false;                    // got the answer of an equal request in flight
  int64_t age_s = 0;
  float similarity = 0;
  std::string hit_id;    // of a semantic hit: for feedback
  PrefixPlanPtr prefix;  // its body, where it has one, is not kept: it is empty
  base::Bytes body;      // empty: not kept (any more)
  bool settled = false;  // the answer was complete, and this was billed
  llm::Usage billed;
  double cost_usd = 0;
  std::string provider_says;  // its own reason why it read less than it could have; empty: none
};

// The earlier request of the same scope that has most in common with a miss, and where they part.
struct Nearest {
  uint64_t id = 0;
  int64_t at_ms = 0;
  prefix::Comparison comparison;
};

class Explanations {
 public:
  static constexpr size_t kKept = 4096;
  explicit Explanations(const base::Clock& clock, size_t max_body_bytes = 16u << 20)
      : clock_(clock), max_body_bytes_(max_body_bytes) {}

  uint64_t next_id();
  static std::string text(uint64_t id);  // "r-" and 16 hex digits
  static std::optional<uint64_t> parse(std::string_view text);

  void hit(uint64_t id, const Answer& answer);
  void forwarded(uint64_t id, const Forward& forward, const base::Bytes& body, bool collapsed);
  void settled(uint64_t id, const PrefixPlanPtr& plan, const Judged& judged);

  std::optional<Explained> find(uint64_t id) const;
  // Reads up to 32 bodies: call it on the worker pool.
  std::optional<Nearest> nearest(const Explained& to) const;

 private:
  Explained& slot(uint64_t id) { return ring_[id % kKept]; }
  void drop_bodies();

  const base::Clock& clock_;
  const size_t max_body_bytes_;
  const base::KeyedHash hash_;
  mutable std::mutex mutex_;
  uint64_t next_ = 0;            // guarded by mutex_; 0: not begun
  std::vector<Explained> ring_;  // guarded by mutex_; by id
  size_t body_bytes_ = 0;        // guarded by mutex_
  uint64_t oldest_body_ = 0;     // guarded by mutex_
};

}  // namespace payonce::pipeline
