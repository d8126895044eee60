#include "gateway/paced_replay.h"

#include <chrono>
#include <utility>

namespace payonce::gateway {

PacedReplay::PacedReplay(std::shared_ptr<net::Exchange> exchange, const pipeline::Answer& answer,
                         std::function<void(int)> done)
    : exchange_(std::move(exchange)),
      entry_(answer.entry),
      done_(std::move(done)),
      timer_(exchange_->loop().context()) {}

void PacedReplay::start(std::shared_ptr<net::Exchange> exchange, net::ResponseHead head,
                        const pipeline::Answer& answer, std::function<void(int)> done) {
  const std::shared_ptr<PacedReplay> replay(new PacedReplay(std::move(exchange), answer, std::move(done)));
  replay->exchange_->on_closed = [weak = replay->weak_from_this()] {
    if (const auto self = weak.lock()) self->end(499);
  };
  replay->exchange_->start(std::move(head), answer.body.size());
  replay->send_due();
}

void PacedReplay::send_due() {
  if (!exchange_) return;
  const auto now_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - started_).count();
  const size_t count = entry_->pace_ms.size();
  for (; next_ < count && entry_->pace_ms[next_] <= now_ms; ++next_) {
    const size_t begin = entry_->pace_offset[next_];
    const size_t end = next_ + 1 < count ? entry_->pace_offset[next_ + 1] : entry_->body.size();
    exchange_->write(entry_->body.slice(begin, end - begin));
  }
  if (next_ == count) {
    exchange_->finish();
    return end(200);
  }
  timer_.expires_at(started_ + std::chrono::milliseconds(entry_->pace_ms[next_]));
  timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->send_due();
  });
}

void PacedReplay::end(int status) {
  if (!exchange_) return;
  const auto keep = shared_from_this();
  timer_.cancel();
  done_(status);
  net::EventLoop& loop = exchange_->loop();
  loop.post([exchange = std::move(exchange_)] { exchange->on_closed = nullptr; });
  exchange_.reset();
}

}  // namespace payonce::gateway
