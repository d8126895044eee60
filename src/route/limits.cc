#include "route/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace payonce::route {
namespace {

constexpr int64_t kDay_ms = 24LL * 3600 * 1000;
constexpr int64_t kForgetAfter_ms = 60'000;  // a bucket is full after a minute

}  // namespace

Limits::State& Limits::state_of(const std::string& caller, int64_t now_ms) {
  const auto [it, added] = states_.try_emplace(caller);
  State& state = it->second;
  if (added) state.refilled_ms = -1;
  if (state.day != now_ms / kDay_ms) {
    state.day = now_ms / kDay_ms;
    state.spent_usd = 0;
  }
  return state;
}

void Limits::forget_oldest(int64_t now_ms) {
  std::erase_if(states_, [&](const auto& item) {
    return now_ms - item.second.refilled_ms > kForgetAfter_ms &&
           (item.second.spent_usd == 0 || item.second.day != now_ms / kDay_ms);
  });
}

std::optional<Limits::Exceeded> Limits::take(const std::string& caller, const Limit& limit, int64_t now_ms) {
  if (limit.requests_per_minute <= 0 && limit.budget_usd_per_day <= 0) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (states_.size() >= max_callers_) forget_oldest(now_ms);
  State& state = state_of(caller, now_ms);
  if (limit.budget_usd_per_day > 0 && state.spent_usd >= limit.budget_usd_per_day)
    return Exceeded{"budget",
                    fmt::format("the budget of {:.2f} USD a day is spent ({:.2f}); it starts anew at 00:00 UTC",
                                limit.budget_usd_per_day, state.spent_usd),
                    (kDay_ms - now_ms % kDay_ms) / 1000 + 1};
  if (limit.requests_per_minute <= 0) return std::nullopt;
  const double per_ms = limit.requests_per_minute / 60'000;
  const double room = std::max(1.0, limit.requests_per_minute);
  if (state.refilled_ms < 0)
    state.tokens = room;
  else
    state.tokens = std::min(room, state.tokens + per_ms * static_cast<double>(now_ms - state.refilled_ms));
  state.refilled_ms = now_ms;
  if (state.tokens < 1)
    return Exceeded{"rate", fmt::format("more than {:g} requests a minute", limit.requests_per_minute),
                    static_cast<int64_t>(std::ceil((1 - state.tokens) / per_ms / 1000))};
  state.tokens -= 1;
  return std::nullopt;
}

bool Limits::affords(const std::string& caller, const Limit& limit, int64_t now_ms) {
  if (limit.budget_usd_per_day <= 0) return true;
  const std::lock_guard lock(mutex_);
  const auto found = states_.find(caller);
  return found == states_.end() || found->second.day != now_ms / kDay_ms ||
         found->second.spent_usd < limit.budget_usd_per_day;
}

void Limits::spent(const std::string& caller, double usd, int64_t now_ms) {
  if (usd <= 0) return;
  const std::lock_guard lock(mutex_);
  state_of(caller, now_ms).spent_usd += usd;
}

}  // namespace payonce::route
