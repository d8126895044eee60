// Rate and budget limits of each caller. Rate: a token bucket that refills evenly and holds one minute's worth.
// Budget: what the upstreams' answers cost on this day (UTC); a hit costs nothing. Threads: all any.  Bounded:
// callers that are not seen for long are forgotten first (their bucket is full again by then).
#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace payonce::route {

struct Limit {  // 0: none
  double requests_per_minute = 0;
  double budget_usd_per_day = 0;
};

class Limits {
 public:
  explicit Limits(size_t max_callers = 100'000) : max_callers_(max_callers) {}

  struct Exceeded {
    std::string_view reason;  // "rate" | "budget"
    std::string message;
    int64_t retry_after_s = 1;
  };
  // Takes one request out of the caller's bucket; says why it may not go.
  std::optional<Exceeded> take(const std::string& caller, const Limit& limit, int64_t now_ms);
  // Is there anything left of the caller's budget today? Takes nothing.
  bool affords(const std::string& caller, const Limit& limit, int64_t now_ms);
  void spent(const std::string& caller, double usd, int64_t now_ms);

 private:
  struct State {
    double tokens = 0;
    int64_t refilled_ms = 0;
    int64_t day = 0;
    double spent_usd = 0;
  };
  State& state_of(const std::string& caller, int64_t now_ms);
  void forget_oldest(int64_t now_ms);

  const size_t max_callers_;
  std::mutex mutex_;
  std::unordered_map<std::string, State> states_;  // guarded by mutex_
};

}  // namespace payonce::route
