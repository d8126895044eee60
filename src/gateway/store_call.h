// One request to a vector store on its way: sent as it came, its answer streamed to the client at the client's pace.
// An answer that is to be kept is gathered up to a limit and goes out whole, so that a cut one is an error and not
// half a list.  Threads: the loop of its exchange.  Owner: the call (as its sink), and the exchange's callbacks.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "net/client.h"
#include "net/server.h"

namespace payonce::gateway {

class StoreCall final : public net::ResponseSink, public std::enable_shared_from_this<StoreCall> {
 public:
  struct Hooks {
    // The head came: may be changed before it goes out. True: the answer is kept.
    std::function<bool(net::ResponseHead& head)> head;
    // The kept answer is whole; before the client has its last byte.
    std::function<void(std::string body, std::string content_type)> whole;
    // The head of an error that goes out instead of an answer.
    std::function<void(net::ResponseHead& head)> failed;
    // Once, at the end: the status as sent; 499: the client left, 0: it was cut.
    std::function<void(int status)> done;
  };
  StoreCall(std::shared_ptr<net::Exchange> exchange, Hooks hooks);

  // `send` starts the call with this as its sink.
  void start(const std::function<std::shared_ptr<net::Call>(std::shared_ptr<net::ResponseSink>)>& send);
  void fail(const base::Error& error);  // instead of start()

  void on_head(net::ResponseHead head) override;
  void on_data(base::Bytes chunk) override;
  void on_end() override;
  void on_error(base::Error error, bool sent) override;

 private:
  void go_on();
  void stream();
  void close(int status);

  std::shared_ptr<net::Exchange> exchange_;
  const Hooks hooks_;
  std::shared_ptr<net::Call> call_;
  net::ResponseHead head_;
  std::string kept_;
  enum class Mode { kUndecided, kKeep, kStream } mode_ = Mode::kUndecided;
  bool waiting_ = false;  // for the client to take what was written
  bool over_ = false;
};

}  // namespace payonce::gateway
