#include "gateway/store_call.h"

#include <utility>

#include "llm/dialect.h"
#include "llm/error_body.h"

namespace payonce::gateway {
namespace {

constexpr size_t kKeepLimit_bytes = 8u << 20;  // a longer answer is passed on as it comes, and not kept

}  // namespace

StoreCall::StoreCall(std::shared_ptr<net::Exchange> exchange, Hooks hooks)
    : exchange_(std::move(exchange)), hooks_(std::move(hooks)) {}

void StoreCall::start(const std::function<std::shared_ptr<net::Call>(std::shared_ptr<net::ResponseSink>)>& send) {
  exchange_->on_closed = [self = shared_from_this()] {
    if (self->over_) return;
    const auto call = self->call_;
    self->close(499);
    if (call) call->cancel();
  };
  exchange_->on_drained = [self = shared_from_this()] { self->go_on(); };
  call_ = send(shared_from_this());
}

void StoreCall::on_head(net::ResponseHead head) {
  if (over_) return;
  head_ = std::move(head);
  mode_ = hooks_.head(head_) ? Mode::kKeep : Mode::kStream;
  if (mode_ == Mode::kStream) exchange_->start(head_);
}

void StoreCall::stream() {
  mode_ = Mode::kStream;
  exchange_->start(head_);
  exchange_->write(base::Bytes(std::exchange(kept_, {})));
}

void StoreCall::on_data(base::Bytes chunk) {
  if (over_) return;
  if (mode_ == Mode::kKeep) {
    kept_.append(chunk.view());
    if (kept_.size() > kKeepLimit_bytes) stream();
    return;
  }
  exchange_->write(std::move(chunk));
  if (waiting_ || !exchange_->is_behind()) return;
  waiting_ = true;
  if (call_) call_->pause();
}

void StoreCall::go_on() {
  if (over_ || !waiting_) return;
  waiting_ = false;
  if (call_) call_->resume();
}

void StoreCall::on_end() {
  if (over_) return;
  if (mode_ == Mode::kKeep) {
    const base::Bytes body = base::Bytes::copy(kept_);
    hooks_.whole(std::move(kept_), std::string(head_.headers.get("content-type").value_or("")));
    exchange_->respond(std::move(head_), body);
  } else {
    exchange_->finish();
  }
  close(head_.status);
}

void StoreCall::on_error(base::Error error, bool) { fail(error); }

void StoreCall::fail(const base::Error& error) {
  if (over_) return;
  if (mode_ == Mode::kStream) {
    exchange_->abort();
    return close(0);
  }
  net::ResponseHead head{.status = base::code_http_status(error.code)};
  head.headers.add("Content-Type", "application/json");
  hooks_.failed(head);
  const int status = head.status;
  exchange_->respond(std::move(head), base::Bytes(llm::error_body(llm::Dialect::kOther, status, error.message)));
  close(status);
}

// The exchange may be running the callback that brought us here: it must outlive this call.
void StoreCall::close(int status) {
  over_ = true;
  call_.reset();
  hooks_.done(status);
  exchange_->loop().post([exchange = std::move(exchange_)] {
    exchange->on_closed = nullptr;
    exchange->on_drained = nullptr;
  });
}

}  // namespace payonce::gateway
