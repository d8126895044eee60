// Which sessions' written prefixes are kept alive at the provider, when each is pinged next, and when it is not worth
// any more money: a ping reads the prefix just before its TTL ends, and so begins it anew. It only decides; what
// sends is a closure that came with the request, and dies with it.
//
// Rules. The TTL runs from the start of the last request that wrote or read; a later request of the session makes
// what was held void. A ping goes only if the worst that it can cost still fits into the day's budget, pings on their
// way counted, so the budget is never exceeded. A ping that fails, or finds the prefix gone, is the session's last.
// Threads: all any (one lock, held for bookkeeping alone).  Bounded: sessions and bytes, the latest stay; pings on
// their way.  Units: USD at list price; milliseconds of Unix time; a day is UTC's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "base/hash.h"
#include "base/lru_map.h"

namespace payonce::prefix {

class KeepAlive {
 public:
  struct Options {
    size_t max_sessions = 1024;
    size_t max_bytes = 64u << 20;  // that are held for pings
    size_t max_in_flight = 8;      // pings
  };
  KeepAlive() : KeepAlive(Options{}) {}
  explicit KeepAlive(const Options& options) : options_(options), held_(options.max_bytes) {}

  // A request that was answered and whose written prefix is worth pings.
  struct Request {
    base::Hash128 session;
    int64_t started_ms = 0;  // the TTL runs from here
    int64_t ttl_ms = 0;
    uint32_t pings = 0;    // at most, while no other request of the session comes
    double worst_usd = 0;  // of one ping: the prefix is gone and is written anew
    size_t bytes = 0;      // that `send` holds
    std::function<void(uint64_t ping)> send;
  };
  void hold(Request request);
  // A request of the session goes out.
  void came(const base::Hash128& session);
  void forget_all();

  // Pings that are due, to be sent now; the outcome of each is told once, by answered(), failed()
  // or withdraw().
  std::vector<std::function<void()>> due(int64_t now_ms, double budget_usd);
  // A ping was billed so much, and found the prefix or not.
  void answered(uint64_t ping, double usd, bool read, int64_t now_ms);
  // It was not answered, or refused. `perhaps_billed`: it may have reached the provider, so the worst is assumed.
  void failed(uint64_t ping, bool perhaps_billed, int64_t now_ms);
  // It was not sent after all, and the session is not worth another.
  void withdraw(uint64_t ping);
  // What earlier runs spent today.
  void spent_before(double usd, int64_t now_ms);

  struct Stats {
    uint64_t pings = 0;   // whose outcome is known
    double usd = 0;       // spent today
    size_t held = 0;      // sessions that may be pinged
    size_t bytes = 0;     // of them
    uint64_t failed = 0;  // of the pings
    uint64_t late = 0;    // prefixes found gone
  };
  Stats stats(int64_t now_ms);

  // So long before the end of a TTL a ping starts: a twentieth, at least 5 s.
  static int64_t margin_ms(int64_t ttl_ms);

 private:
  struct Held {
    Request request;
    uint32_t sent = 0;
    uint64_t ping = 0;       // on its way; 0: none
    int64_t due_ms = 0;      // of the next
    int64_t expires_ms = 0;  // it is too late then
  };
  struct Ping {
    base::Hash128 session;
    double worst_usd = 0;
    int64_t started_ms = 0;
  };
  void set_next(Held& held, int64_t started_ms);
  double& spent(int64_t now_ms);
  bool take(uint64_t ping, Ping& out);

  const Options options_;
  std::mutex mutex_;  // guards all below
  base::LruMap<Held> held_;
  std::unordered_map<uint64_t, Ping> in_flight_;
  double reserved_usd_ = 0;  // the worst of those
  double spent_usd_ = 0;     // today
  int64_t day_ = 0;
  uint64_t last_ping_ = 0, answered_ = 0, failed_ = 0, late_ = 0;
};

}  // namespace payonce::prefix
