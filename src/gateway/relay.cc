#include "gateway/relay.h"

#include <utility>

#include "llm/error_body.h"

namespace payonce::gateway {
Relay::Relay(std::shared_ptr<net::Exchange> exchange, std::shared_ptr<cache::Flight> flight, Options options)
    : exchange_(std::move(exchange)), flight_(std::move(flight)), options_(std::move(options)) {}

cache::Flight::Wake Relay::wake_for(net::EventLoop& loop, std::shared_ptr<std::weak_ptr<Relay>> slot) {
  return [&loop, slot = std::move(slot)] {
    if (loop.in_loop_thread()) {
      if (const auto relay = slot->lock()) relay->pump();
      return;
    }
    loop.post([slot] {
      if (const auto relay = slot->lock()) relay->pump();
    });
  };
}

void Relay::attach(cache::Flight::ReaderId reader) {
  reader_ = reader;
  // The exchange keeps the relay; the relay lets go of the exchange in close(), which breaks the circle.
  exchange_->on_closed = [self = shared_from_this()] { self->close(499); };
  exchange_->on_drained = [self = shared_from_this()] { self->pump(); };
  pump();
}

void Relay::pump() {
  if (pumping_ || done_) return;
  pumping_ = true;
  const auto keep = shared_from_this();
  while (!done_ && take()) {
  }
  pumping_ = false;
}

bool Relay::take() {
  if (exchange_->is_behind()) return false;  // on_drained comes back here
  cache::Flight::Progress progress = flight_->take(reader_);
  if (should_ask_again(progress)) {
    const auto exchange = exchange_;
    const auto again = options_.again;
    exchange->on_closed = nullptr;
    exchange->on_drained = nullptr;
    flight_->leave(reader_);
    done_ = true;
    exchange_.reset();
    again(exchange);
    return false;
  }
  if (progress.head && mode_ == Mode::kUndecided) begin(*progress.head, progress.stored);
  if (mode_ != Mode::kUndecided) pass_on(progress);
  if (progress.state == cache::Flight::State::kDone) end(progress);
  if (progress.state == cache::Flight::State::kFailed) fail(progress.error);
  return !done_ && !progress.chunks.empty();
}

bool Relay::should_ask_again(const cache::Flight::Progress& progress) const {
  if (!options_.again || mode_ == Mode::kStream) return false;
  if (progress.state == cache::Flight::State::kFailed) return true;
  const int status = progress.head ? progress.head->status : 0;
  return status == 429 || status >= 500;
}

void Relay::begin(const net::ResponseHead& head, bool stored) {
  head_ = head;
  options_.status.upstream_status = head.status;
  options_.timing.upstream_us = options_.now_us() - options_.started_us;
  if (has_type(head.headers, "application/json")) {
    mode_ = Mode::kGather;
    return;
  }
  mode_ = Mode::kStream;
  exchange_->start(answer_head(head, stored));
}

void Relay::pass_on(cache::Flight::Progress& progress) {
  for (base::Bytes& chunk : progress.chunks) {
    if (mode_ == Mode::kStream) {
      exchange_->write(std::move(chunk));
      continue;
    }
    gathered_.append(chunk.view());
    if (gathered_.size() > options_.gather_limit_bytes) {
      mode_ = Mode::kStream;
      exchange_->start(answer_head(head_, false));
      exchange_->write(base::Bytes(std::move(gathered_)));
      gathered_.clear();
    }
  }
}

void Relay::end(const cache::Flight::Progress& progress) {
  if (mode_ == Mode::kGather)
    exchange_->respond(answer_head(head_, progress.stored), base::Bytes(std::move(gathered_)));
  else
    exchange_->finish();
  close(head_.status);
}

void Relay::fail(const base::Error& error) {
  const int status = base::code_http_status(error.code);
  if (mode_ == Mode::kStream) {
    // The head is out: say it in the stream, where the SDKs look for it, then cut, so that nobody takes it for whole.
    if (head_.headers.get("content-type").value_or("").starts_with("text/event-stream"))
      exchange_->write(base::Bytes(llm::error_event(options_.dialect, status, error.message)));
    exchange_->abort();
    close(status);
    return;
  }
  net::ResponseHead head{.status = status};
  head.headers.add("Content-Type", "application/json");
  options_.status.upstream_status = 0;
  add_miss_headers(head.headers, options_.status, options_.timing);
  exchange_->respond(std::move(head), base::Bytes(llm::error_body(options_.dialect, status, error.message)));
  close(status);
}

net::ResponseHead Relay::answer_head(const net::ResponseHead& upstream, bool stored) {
  net::ResponseHead head;
  head.status = upstream.status;
  head.headers = upstream.headers;
  for (const std::string_view ours : {"cache-status", "age", "x-payonce-saved", "x-payonce-id", "x-payonce-hit"})
    head.headers.remove(ours);                                       // an upstream's own would be read as ours
  if (options_.status.collapsed) head.headers.remove("set-cookie");  // it was meant for who asked first
  keep_off_our_origin(head.headers);
  options_.status.stored = stored;
  add_miss_headers(head.headers, options_.status, options_.timing);
  return head;
}

void Relay::close(int status) {
  if (done_) return;
  done_ = true;
  const auto keep = shared_from_this();
  flight_->leave(reader_);
  if (options_.done) options_.done(status, options_.status, options_.timing);
  // The exchange may be running the callback that brought us here: it must outlive this call.
  exchange_->loop().post([exchange = std::move(exchange_)] {
    exchange->on_closed = nullptr;
    exchange->on_drained = nullptr;
  });
}

}  // namespace payonce::gateway
