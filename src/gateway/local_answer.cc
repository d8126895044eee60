#include "gateway/local_answer.h"

#include <string_view>
#include <utility>

#include "gateway/answer_headers.h"
#include "llm/dialect.h"
#include "llm/error_body.h"

namespace payonce::gateway {
namespace {

// Owner: the call, until its last word; the exchange's callbacks hold it as well, until it is over.
class LocalAnswer final : public net::ResponseSink, public std::enable_shared_from_this<LocalAnswer> {
 public:
  explicit LocalAnswer(std::shared_ptr<net::Exchange> exchange)
      : exchange_(std::move(exchange)), dialect_(llm::classify(exchange_->head().method, exchange_->head().path())) {}

  void start(net::LocalService& service, std::string tenant) {
    exchange_->on_closed = [self = shared_from_this()] { self->leave(); };
    exchange_->on_drained = [self = shared_from_this()] { self->go_on(); };
    call_ =
        service.send(exchange_->head(), exchange_->body(), std::move(tenant), exchange_->loop(), shared_from_this());
  }

  void on_head(net::ResponseHead head) override {
    if (over_) return;
    head_ = std::move(head);
    mode_ = has_type(head_.headers, "application/json") ? Mode::kGather : Mode::kStream;
    if (mode_ == Mode::kStream) exchange_->start(head_);
  }
  void on_data(base::Bytes chunk) override {
    if (over_) return;
    if (mode_ == Mode::kGather) {
      gathered_.append(chunk.view());
      return;
    }
    exchange_->write(std::move(chunk));
    if (waiting_ || !exchange_->is_behind()) return;
    waiting_ = true;
    call_->pause();
  }
  void on_end() override {
    if (over_) return;
    if (mode_ == Mode::kGather)
      exchange_->respond(std::move(head_), base::Bytes(std::move(gathered_)));
    else
      exchange_->finish();
    close();
  }
  void on_error(base::Error error, bool) override {
    if (over_) return;
    const int status = base::code_http_status(error.code);
    if (mode_ == Mode::kStream) {
      if (has_type(head_.headers, "text/event-stream"))
        exchange_->write(base::Bytes(llm::error_event(dialect_, status, error.message)));
      exchange_->abort();
    } else {
      net::ResponseHead head{.status = status};
      head.headers.add("Content-Type", "application/json");
      exchange_->respond(std::move(head), base::Bytes(llm::error_body(dialect_, status, error.message)));
    }
    close();
  }

 private:
  void leave() {
    if (over_) return;
    const auto call = call_;
    close();
    if (call) call->cancel();
  }
  void go_on() {
    if (over_ || !waiting_) return;
    waiting_ = false;
    call_->resume();
  }
  // The exchange may be running the callback that brought us here: it must outlive this call.
  void close() {
    over_ = true;
    call_.reset();
    exchange_->loop().post([exchange = std::move(exchange_)] {
      exchange->on_closed = nullptr;
      exchange->on_drained = nullptr;
    });
  }

  std::shared_ptr<net::Exchange> exchange_;
  const llm::Dialect dialect_;
  std::shared_ptr<net::Call> call_;
  net::ResponseHead head_;
  std::string gathered_;
  enum class Mode { kUndecided, kGather, kStream } mode_ = Mode::kUndecided;
  bool waiting_ = false;  // for the client to take what was written
  bool over_ = false;
};

}  // namespace

void answer_locally(std::shared_ptr<net::Exchange> exchange, net::LocalService& service, std::string tenant) {
  std::make_shared<LocalAnswer>(std::move(exchange))->start(service, std::move(tenant));
}

}  // namespace payonce::gateway
