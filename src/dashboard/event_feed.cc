#include "dashboard/event_feed.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "dashboard/request_json.h"

namespace payonce::dashboard {
namespace {

constexpr int64_t kMinuteEvery_ms = 1000;

bool same(const LastHour::Minute& a, const LastHour::Minute& b) {
  return a.minute == b.minute && a.requests == b.requests;
}

}  // namespace

struct EventFeed::Shared {
  Shared(const RecentRequests& r, const base::Clock& c, Options o) : recent(r), clock(c), options(o) {}
  const RecentRequests& recent;
  const base::Clock& clock;
  const Options options;
  std::atomic<size_t> open{0};
  std::atomic<bool> stopping{false};
};

struct EventFeed::Subscriber : std::enable_shared_from_this<Subscriber> {
  Subscriber(std::shared_ptr<Shared> s, std::shared_ptr<net::Exchange> e, Viewer v)
      : shared(std::move(s)),
        exchange(std::move(e)),
        viewer(std::move(v)),
        timer(exchange->loop().context()),
        spoke_us(shared->clock.monotonic_us()) {}
  ~Subscriber() { shared->open.fetch_sub(1); }

  void begin(uint64_t last_seen);
  void tick();
  void send(size_t limit);
  void send_minute(std::string& out);
  void wait();
  void end();

  const std::shared_ptr<Shared> shared;
  std::shared_ptr<net::Exchange> exchange;  // null: ended
  const Viewer viewer;
  boost::asio::steady_timer timer;
  uint64_t seen = 0;
  LastHour::Minute told;
  int64_t told_us = 0, spoke_us = 0;
};

void EventFeed::Subscriber::begin(uint64_t last_seen) {
  exchange->on_closed = [weak = weak_from_this()] {
    if (const auto self = weak.lock()) self->end();
  };
  net::ResponseHead head;
  head.headers.add("Content-Type", "text/event-stream; charset=utf-8");
  head.headers.add("Cache-Control", "no-store");
  head.headers.add("X-Content-Type-Options", "nosniff");
  head.headers.add("X-Accel-Buffering", "no");
  exchange->start(std::move(head));
  exchange->write(base::Bytes::unowned("retry: 1000\n\n"));
  seen = last_seen <= shared->recent.latest() ? last_seen : 0;
  send(shared->options.first_events);
  wait();
}

void EventFeed::Subscriber::wait() {
  timer.expires_after(std::chrono::milliseconds(shared->options.tick_ms));
  timer.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->tick();
  });
}

void EventFeed::Subscriber::tick() {
  if (!exchange) return;
  if (shared->stopping) {
    exchange->finish();
    return end();
  }
  if (exchange->unsent_bytes() > shared->options.max_unsent_bytes) {
    exchange->abort();
    return end();
  }
  send(shared->options.max_events_per_tick);
  if (exchange) wait();  // the client may have left meanwhile
}

void EventFeed::Subscriber::send(size_t limit) {
  const int64_t now_us = shared->clock.monotonic_us();
  std::string out;
  const uint64_t latest = shared->recent.latest();
  for (const RecentRequest& request : shared->recent.after(seen, limit, viewer)) {
    out += fmt::format("id: {}\nevent: request\ndata: ", request.sequence);
    out += boost::json::serialize(request_json(request));
    out += "\n\n";
    seen = request.sequence;
  }
  if (seen < latest) seen = latest;  // of others, or more than a tick holds
  if (viewer.all && now_us - told_us >= kMinuteEvery_ms * 1000) {
    told_us = now_us;
    send_minute(out);
  }
  if (out.empty() && now_us - spoke_us >= shared->options.heartbeat_ms * 1000) out = ": still here\n\n";
  if (out.empty()) return;
  spoke_us = now_us;
  exchange->write(base::Bytes(std::move(out)));
}

void EventFeed::Subscriber::send_minute(std::string& out) {
  const LastHour::Minute now = shared->recent.this_minute(shared->clock.unix_ms());
  if (same(now, told)) return;
  told = now;
  out += fmt::format("event: minute\ndata: {}\n\n", boost::json::serialize(minute_json(now)));
}

void EventFeed::Subscriber::end() {
  if (!exchange) return;
  timer.cancel();
  // The exchange may be running the callback that brought us here: it must outlive this call.
  net::EventLoop& loop = exchange->loop();
  loop.post([kept = std::move(exchange)] { kept->on_closed = nullptr; });
  exchange.reset();
}

EventFeed::EventFeed(const RecentRequests& recent, const base::Clock& clock, Options options)
    : shared_(std::make_shared<Shared>(recent, clock, options)) {}

bool EventFeed::open(const std::shared_ptr<net::Exchange>& exchange, Viewer viewer, uint64_t last_seen) {
  if (shared_->stopping) return false;
  if (shared_->open.fetch_add(1) >= shared_->options.max_subscribers) {
    shared_->open.fetch_sub(1);
    return false;
  }
  std::make_shared<Subscriber>(shared_, exchange, std::move(viewer))->begin(last_seen);
  return true;
}

void EventFeed::stop() { shared_->stopping = true; }
size_t EventFeed::subscribers() const { return shared_->open; }

}  // namespace payonce::dashboard
