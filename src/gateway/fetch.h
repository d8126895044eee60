// One upstream call with its retries and failover, feeding a flight. It belongs to the flight, not to the client that
// caused it: when that client leaves and others follow, it goes on.
// Threads: the loop that started it; cancel() any.  Owner: the call in progress (as its sink) and its timer.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "base/clock.h"
#include "cache/exact/flight.h"
#include "gateway/upstreams.h"
#include "net/client.h"
#include "pipeline/decision.h"
#include "route/retry.h"

namespace payonce::gateway {

class Fetch final : public net::ResponseSink, public std::enable_shared_from_this<Fetch> {
 public:
  struct Job {
    pipeline::Forward forward;
    net::RequestHead head;  // as the client sent it
    base::Bytes body;       // as the client sent it; forward.prefix may have another for the first candidate
    llm::Dialect dialect = llm::Dialect::kOther;
    std::string traceparent;  // ours, for the upstream; empty: the client's is passed on
  };
  struct Hooks {  // all on the loop, but for keep and settle: of large answers they are called on the pool
    std::function<pipeline::Kept(const pipeline::Forward&, pipeline::Recorded)> keep;  // before readers see the end
    std::function<void(const pipeline::Judged&)> judged;                          // then; null: nobody wants to know
    std::function<void(const pipeline::Forward&, const pipeline::Kept&)> settle;  // beside them
    std::function<bool(std::function<void()>)> post_to_pool;                      // false: full
    std::function<void()> ended;                                                  // remove the flight from its table
    // Calls `then` when a prefix that another request is writing can be read; false: it can be now. Null: no wait.
    std::function<bool(std::function<void()> then)> hold;
    int64_t hold_ms = 0;          // at most
    std::function<void()> begun;  // the answer has begun, or never will; null: nobody wants to know
    std::function<void(const std::string& upstream, const std::string& code)> count_error;
  };
  Fetch(net::EventLoop& loop, Upstreams& upstreams, const base::Clock& clock, std::shared_ptr<cache::Flight> flight,
        Job job, Hooks hooks);

  void start();
  void cancel();

  void on_head(net::ResponseHead head) override;
  void on_data(base::Bytes chunk) override;
  void on_end() override;
  void on_error(base::Error error, bool sent) override;

 private:
  void attempt();
  void go_on();
  void tell_begun();
  const base::Bytes& body_for(const route::UpstreamPtr& upstream) const;
  void end_try();
  void upstream_failed(std::string_view why);
  bool try_again(const route::RetryState::Failure& failure);
  bool is_recordable(const net::ResponseHead& head) const;
  void record();
  void record_on_pool(std::shared_ptr<pipeline::Recorded> recorded);
  void tell(const pipeline::Judged& judged);
  void finish();
  void give_up(base::Error error);

  net::EventLoop& loop_;
  Upstreams& upstreams_;
  const base::Clock& clock_;
  const std::shared_ptr<cache::Flight> flight_;
  const Job job_;
  const Hooks hooks_;
  std::shared_ptr<net::Call> call_;
  boost::asio::steady_timer pause_;
  route::RetryState retry_;
  route::UpstreamPtr current_;
  bool holding_ = false;     // waits for a prefix to be written
  bool begun_ = false;       // told
  bool relayed_ = false;     // a head went to the flight: no more retries
  bool recordable_ = false;  // an answer whose usage we can read, and which may be stored
  bool streamed_ = false;    // and it is a stream
  bool recorded_ = false;
  bool recording_ = false;  // on the worker pool
  bool ended_ = false;      // the upstream's answer is whole
  bool over_ = false;
  int64_t first_byte_us_ = 0;
};

}  // namespace payonce::gateway
