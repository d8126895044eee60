// GET /payonce/v1/events: finished requests as server-sent events (WHATWG HTML 9.2), as they come. Each subscriber
// looks at the ring of recent requests four times a second, on its own loop: a request never waits for a subscriber,
// and does nothing for one. One that does not read is cut.
//   event: request   a finished request; its id is the sequence, so that Last-Event-ID resumes
//   event: minute    for the admin, at most once a second: the sums of this minute
// Threads: open() on the exchange's loop; stop() any.  Bounded: Options.  Lifetime: subscribers share the state.
#pragma once

#include <cstdint>
#include <memory>

#include "base/clock.h"
#include "dashboard/recent_requests.h"
#include "net/server.h"

namespace payonce::dashboard {

class EventFeed {
 public:
  struct Options {
    size_t max_subscribers = 32;
    int64_t tick_ms = 250;
    size_t max_events_per_tick = 100;      // of more, the newest
    size_t first_events = 200;             // what a new page gets of the past
    size_t max_unsent_bytes = 256 * 1024;  // a subscriber with more is cut
    int64_t heartbeat_ms = 15'000;         // a comment, so that proxies and dead peers show
  };
  EventFeed(const RecentRequests& recent, const base::Clock& clock, Options options);
  EventFeed(const RecentRequests& recent, const base::Clock& clock) : EventFeed(recent, clock, Options()) {}

  // `last_seen`: Last-Event-ID, or 0. False: there are too many subscribers; the exchange is as it was.
  bool open(const std::shared_ptr<net::Exchange>& exchange, Viewer viewer, uint64_t last_seen);
  void stop();  // every stream ends at its next tick, and none begins
  size_t subscribers() const;

 private:
  struct Shared;
  struct Subscriber;
  std::shared_ptr<Shared> shared_;
};

}  // namespace payonce::dashboard
