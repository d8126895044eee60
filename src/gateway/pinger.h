// Sends the pings that keep written prefixes alive (pipeline::KeepAliveStage decides which, and when). One call each:
// never retried, and no client waits for it.
// Threads: tick() its loop; the rest any.  Owner: the gateway.  Credentials: the header fields of a request are held
// in memory as long as a ping of it may come, and are never logged.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/worker_pool.h"
#include "gateway/fetch.h"
#include "gateway/upstreams.h"
#include "pipeline/keep_alive_stage.h"

namespace payonce::gateway {

class Pinger : public std::enable_shared_from_this<Pinger> {
 public:
  struct Parts {
    net::EventLoop& loop;
    Upstreams& upstreams;  // of this loop
    base::WorkerPool& pool;
    pipeline::KeepAliveStage& stage;
    std::function<pipeline::PolicyPtr()> policy;
  };
  explicit Pinger(Parts parts) : parts_(std::move(parts)), timer_(parts_.loop.context()) {}

  // Looks each second for pings that are due.
  void start();
  // Forgets what is held, and cancels what is on its way.
  void stop();
  void tick();

  // A request that goes upstream on `loop`: lets the stage know of it and of its answer, after the client's part.
  void watch(net::EventLoop& loop, const Fetch::Job& job, Fetch::Hooks& hooks);

 private:
  class Sink;
  struct Held;
  void answered(const pipeline::Forward& forward, const Fetch::Job& job, const pipeline::Judged& judged);
  void send(const std::shared_ptr<const Held>& held, uint64_t number);
  void ended(uint64_t number) { calls_.erase(number); }
  void wait();

  const Parts parts_;
  boost::asio::steady_timer timer_;
  std::unordered_map<uint64_t, std::shared_ptr<net::Call>> calls_;  // on their way, by number of the ping
  bool stopped_ = false;
};

}  // namespace payonce::gateway
