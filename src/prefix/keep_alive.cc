#include "prefix/keep_alive.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace payonce::prefix {
namespace {

constexpr int64_t kDay_ms = 24LL * 3600 * 1000;
constexpr int64_t kLeastMargin_ms = 5'000;
constexpr int64_t kNever_ms = std::numeric_limits<int64_t>::max();

}  // namespace

int64_t KeepAlive::margin_ms(int64_t ttl_ms) { return std::min(ttl_ms / 2, std::max(kLeastMargin_ms, ttl_ms / 20)); }

void KeepAlive::set_next(Held& held, int64_t started_ms) {
  const int64_t ttl_ms = held.request.ttl_ms;
  held.expires_ms = started_ms + ttl_ms;
  held.due_ms = held.expires_ms - margin_ms(ttl_ms);
}

double& KeepAlive::spent(int64_t now_ms) {
  if (const int64_t day = now_ms / kDay_ms; day > day_) {
    day_ = day;
    spent_usd_ = 0;
  }
  return spent_usd_;
}

void KeepAlive::hold(Request request) {
  const std::lock_guard lock(mutex_);
  if (const Held* before = held_.peek(request.session);
      before != nullptr && before->request.started_ms > request.started_ms)
    return;  // a later request of the session was answered first
  held_.erase(request.session);
  if (request.pings == 0 || request.ttl_ms <= 0 || request.bytes > options_.max_bytes) return;
  const base::Hash128 session = request.session;
  const size_t bytes = request.bytes;
  Held held{.request = std::move(request)};
  set_next(held, held.request.started_ms);
  held_.insert(session, std::move(held), bytes);
  while (held_.size() > options_.max_sessions) held_.drop_oldest();
}

void KeepAlive::came(const base::Hash128& session) {
  const std::lock_guard lock(mutex_);
  held_.erase(session);
}

void KeepAlive::forget_all() {
  const std::lock_guard lock(mutex_);
  while (held_.size() > 0) held_.drop_oldest();
}

std::vector<std::function<void()>> KeepAlive::due(int64_t now_ms, double budget_usd) {
  std::vector<std::function<void()>> out;
  const std::lock_guard lock(mutex_);
  std::vector<base::Hash128> ready;
  held_.for_each([&](const base::Hash128& session, const Held& held) {
    if (held.due_ms <= now_ms) ready.push_back(session);
  });
  for (const base::Hash128& session : ready) {
    Held& held = *held_.find(session);
    const double worst_usd = held.request.worst_usd;
    // By the time that there is money again, tomorrow, it is gone.
    if (now_ms >= held.expires_ms || spent(now_ms) + reserved_usd_ + worst_usd > budget_usd) {
      held_.erase(session);
      continue;
    }
    if (in_flight_.size() >= options_.max_in_flight) continue;  // the next time, if that is in time
    held.ping = ++last_ping_;
    held.due_ms = kNever_ms;
    ++held.sent;
    reserved_usd_ += worst_usd;
    in_flight_[held.ping] = {.session = session, .worst_usd = worst_usd, .started_ms = now_ms};
    out.push_back([send = held.request.send, ping = held.ping] { send(ping); });
  }
  return out;
}

bool KeepAlive::take(uint64_t ping, Ping& out) {
  const auto found = in_flight_.find(ping);
  if (found == in_flight_.end()) return false;
  out = found->second;
  in_flight_.erase(found);
  reserved_usd_ = in_flight_.empty() ? 0 : reserved_usd_ - out.worst_usd;
  return true;
}

void KeepAlive::answered(uint64_t ping, double usd, bool read, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  Ping of;
  if (!take(ping, of)) return;
  ++answered_;
  spent(now_ms) += usd;
  if (!read) ++late_;
  Held* held = held_.find(of.session);
  if (held == nullptr || held->ping != ping) return;  // another request of the session came meanwhile
  held->ping = 0;
  if (!read || held->sent >= held->request.pings) return held_.erase(of.session);
  set_next(*held, of.started_ms);
}

void KeepAlive::failed(uint64_t ping, bool perhaps_billed, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  Ping of;
  if (!take(ping, of)) return;
  ++failed_;
  if (perhaps_billed) spent(now_ms) += of.worst_usd;
  if (const Held* held = held_.peek(of.session); held != nullptr && held->ping == ping) held_.erase(of.session);
}

void KeepAlive::withdraw(uint64_t ping) {
  const std::lock_guard lock(mutex_);
  Ping of;
  if (!take(ping, of)) return;
  if (const Held* held = held_.peek(of.session); held != nullptr && held->ping == ping) held_.erase(of.session);
}

void KeepAlive::spent_before(double usd, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  spent(now_ms) += usd;
}

KeepAlive::Stats KeepAlive::stats(int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  return {.pings = answered_ + failed_,
          .usd = spent(now_ms),
          .held = held_.size(),
          .bytes = held_.weight(),
          .failed = failed_,
          .late = late_};
}

}  // namespace payonce::prefix
