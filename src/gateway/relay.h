// One client's side of a forwarded request: reads its flight and writes its exchange, each at its own speed.
// A JSON answer is gathered and goes out whole, so that its head can say what became of it (stored, or a clean error
// instead of half a body); everything else is passed on as it comes.
// Threads: the loop of its exchange.  Owner: the callbacks of exchange and flight.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "cache/exact/flight.h"
#include "gateway/answer_headers.h"
#include "llm/dialect.h"
#include "net/server.h"

namespace payonce::gateway {

class Relay : public std::enable_shared_from_this<Relay> {
 public:
  struct Options {
    llm::Dialect dialect = llm::Dialect::kOther;
    MissStatus status;
    Timing timing;
    int64_t started_us = 0;
    uint64_t gather_limit_bytes = 8u << 20;  // a larger JSON answer is passed on as it comes
    // A follower whose leader failed before anything reached this client: ask again instead of passing the failure
    // on.
    std::function<void(std::shared_ptr<net::Exchange>)> again;
    std::function<int64_t()> now_us;
    // Once, at the end: HTTP status as sent (499: the client left), cache detail.
    std::function<void(int status, const MissStatus& status_fields, const Timing& timing)> done;
  };
  Relay(std::shared_ptr<net::Exchange> exchange, std::shared_ptr<cache::Flight> flight, Options options);

  // For FlightTable / Flight: what to call when there is news; safe after the relay is gone.
  static cache::Flight::Wake wake_for(net::EventLoop& loop, std::shared_ptr<std::weak_ptr<Relay>> slot);
  void attach(cache::Flight::ReaderId reader);  // starts

 private:
  void pump();
  bool take();  // false: nothing more to do now
  void begin(const net::ResponseHead& head, bool stored);
  void pass_on(cache::Flight::Progress& progress);
  void end(const cache::Flight::Progress& progress);
  void fail(const base::Error& error);
  void close(int status);
  bool should_ask_again(const cache::Flight::Progress& progress) const;
  net::ResponseHead answer_head(const net::ResponseHead& upstream, bool stored);

  std::shared_ptr<net::Exchange> exchange_;
  std::shared_ptr<cache::Flight> flight_;
  Options options_;
  cache::Flight::ReaderId reader_ = 0;
  enum class Mode { kUndecided, kGather, kStream } mode_ = Mode::kUndecided;
  net::ResponseHead head_;
  std::string gathered_;
  bool done_ = false;
  bool pumping_ = false;
};

}  // namespace payonce::gateway
