// Sends a recorded stream at the pace at which it came, for callers whose pages expect that.
// Threads: the loop of its exchange.  Owner: its timer, while it runs.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>

#include "net/server.h"
#include "pipeline/decision.h"

namespace payonce::gateway {

class PacedReplay : public std::enable_shared_from_this<PacedReplay> {
 public:
  // Begins at once. `answer` holds a recorded stream as it was recorded; `done(status)` is called once: 200, or 499
  // when the client left.
  static void start(std::shared_ptr<net::Exchange> exchange, net::ResponseHead head, const pipeline::Answer& answer,
                    std::function<void(int status)> done);

 private:
  PacedReplay(std::shared_ptr<net::Exchange> exchange, const pipeline::Answer& answer, std::function<void(int)> done);
  void send_due();
  void end(int status);

  std::shared_ptr<net::Exchange> exchange_;
  const cache::EntryPtr entry_;
  const std::function<void(int)> done_;
  boost::asio::steady_timer timer_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  size_t next_ = 0;  // chunk
};

}  // namespace payonce::gateway
