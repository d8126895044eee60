#include "gateway/pinger.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "net/local_service.h"

namespace payonce::gateway {
namespace {

constexpr std::chrono::milliseconds kTick{1000};
constexpr net::CallTimeouts kPingTimeouts{.connect_ms = 5'000, .first_byte_ms = 30'000, .idle_ms = 10'000};
constexpr size_t kMaxPingAnswer_bytes = 64 * 1024;

// Those of the request, without what speaks of that one request alone.
net::Headers ping_headers(const net::Headers& from_client, const route::Upstream& upstream, llm::Dialect dialect) {
  net::Headers out = upstream_headers(from_client, upstream, dialect);
  for (const std::string_view once : {"idempotency-key", "traceparent", "tracestate", "x-request-id"})
    out.remove(once);
  return out;
}

}  // namespace

// A ping, and where and as whom it is sent.
struct Pinger::Held {
  pipeline::PingPtr ping;
  net::RequestHead head;
  std::string target;  // as the client's, for Upstreams
  route::UpstreamKind wire = route::UpstreamKind::kAnthropic;
};

// Gathers a ping's answer. The stage is told once; of a call that is cancelled by stop().
class Pinger::Sink final : public net::ResponseSink {
 public:
  Sink(std::weak_ptr<Pinger> pinger, pipeline::KeepAliveStage& stage, pipeline::PingPtr ping, uint64_t number)
      : pinger_(std::move(pinger)), stage_(stage), ping_(std::move(ping)), number_(number) {}
  void on_head(net::ResponseHead head) override { status_ = head.status; }
  void on_data(base::Bytes chunk) override {
    if (body_.size() + chunk.size() <= kMaxPingAnswer_bytes) body_.append(chunk.view());
  }
  void on_end() override {
    if (std::exchange(told_, true)) return;
    stage_.done(number_, *ping_, status_, body_);
    if (status_ != 200) base::log_info("keep-alive ping to '{}': status {}", ping_->upstream->name, status_);
    end();
  }
  void on_error(base::Error error, bool sent) override { fail(error, sent); }
  void fail(const base::Error& error, bool sent) {
    if (std::exchange(told_, true)) return;
    stage_.failed(number_, sent);
    base::log_info("keep-alive ping to '{}': {}", ping_->upstream->name, error.message);
    end();
  }

 private:
  void end() {
    if (const auto alive = pinger_.lock()) alive->ended(number_);
  }

  const std::weak_ptr<Pinger> pinger_;
  pipeline::KeepAliveStage& stage_;
  const pipeline::PingPtr ping_;
  const uint64_t number_;
  int status_ = 0;
  std::string body_;
  bool told_ = false;
};

void Pinger::start() {
  const bool queued = parts_.pool.post([&stage = parts_.stage] { stage.recall_today(); });
  if (!queued) base::log_warn("keep-alive: the worker queue is full at the start; no pings are sent");
  parts_.loop.post([self = shared_from_this()] { self->wait(); });
}

void Pinger::wait() {
  if (stopped_) return;
  timer_.expires_after(kTick);
  timer_.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->tick();
    self->wait();
  });
}

void Pinger::stop() {
  parts_.stage.forget_all();
  parts_.loop.post([self = shared_from_this()] {
    self->stopped_ = true;
    self->timer_.cancel();
    for (const auto& [number, call] : std::exchange(self->calls_, {})) {
      call->cancel();
      self->parts_.stage.failed(number, true);
    }
  });
}

void Pinger::tick() {
  if (stopped_) return;
  for (const auto& ping : parts_.stage.due(*parts_.policy())) ping();
}

void Pinger::watch(net::EventLoop& loop, const Fetch::Job& job, Fetch::Hooks& hooks) {
  if (!parts_.stage.concerns(job.forward)) return;
  // When the request is on its way: this reads the body, and nothing waits for it.
  loop.post([&stage = parts_.stage, forward = job.forward, body = job.body] { stage.came(forward, body); });
  const auto call = std::make_shared<const Fetch::Job>(
      Fetch::Job{.forward = {}, .head = job.head, .body = job.body, .dialect = job.dialect});
  hooks.settle = [self = shared_from_this(), settle = std::move(hooks.settle), call](const pipeline::Forward& forward,
                                                                                     const pipeline::Kept& kept) {
    settle(forward, kept);
    self->answered(forward, *call, kept.judged);
  };
}

void Pinger::answered(const pipeline::Forward& forward, const Fetch::Job& job, const pipeline::Judged& judged) {
  const auto make_send = [&](pipeline::PingPtr ping) -> pipeline::KeepAliveStage::Send {
    auto held = std::make_shared<Held>();
    held->head = {.method = job.head.method, .target = job.head.target};
    held->head.headers = ping_headers(job.head.headers, *ping->upstream, job.dialect);
    held->target = job.head.target;
    held->wire = forward.wire;
    held->ping = std::move(ping);
    return [weak = weak_from_this(), held = std::shared_ptr<const Held>(std::move(held))](uint64_t number) {
      if (const auto self = weak.lock()) self->send(held, number);
    };
  };
  parts_.stage.answered(forward, job.body, judged, job.head.headers.lines().size(), make_send);
}

void Pinger::send(const std::shared_ptr<const Held>& held, uint64_t number) {
  const pipeline::Ping& ping = *held->ping;
  const auto sink = std::make_shared<Sink>(weak_from_this(), parts_.stage, held->ping, number);
  net::RequestHead head = held->head;
  std::shared_ptr<net::Call> call;
  if (ping.upstream->local != nullptr) {
    call = ping.upstream->local->send(std::move(head), ping.body, ping.prepared->scope, parts_.loop, sink);
  } else {
    auto destination = parts_.upstreams.destination(ping.upstream, held->target, ping.prepared->dialect, held->wire);
    if (!destination) return sink->fail(destination.error(), false);
    head.target = std::move(destination->target);
    call = destination->client->send(destination->origin, std::move(head), ping.body, kPingTimeouts, sink);
  }
  calls_[number] = std::move(call);
}

}  // namespace payonce::gateway
