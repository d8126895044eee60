// One HTTP/1.1 connection to an upstream: one call at a time, then idle in the pool (RFC 9112).
// Threads: the loop's.  Owner: the pool while idle, else its call and the waits for readiness.
// While idle, and while a call is under way, a wait for readability stands: a connection that the upstream closes
// leaves the pool at once, and a reused one has no wait to start.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "net/client_call.h"
#include "net/client_core.h"
#include "net/client_transport.h"
#include "net/http1_answer_head.h"
#include "net/response_framing.h"

namespace payonce::net {

class Http1Connection final : public Carrier, public std::enable_shared_from_this<Http1Connection> {
 public:
  Http1Connection(std::shared_ptr<ClientCore> core, std::shared_ptr<Transport> transport);
  ~Http1Connection() override;

  void start(std::shared_ptr<ClientCall> call);  // REQUIRES: idle and open
  void close();
  bool open() const { return transport_->open(); }
  const Origin& origin() const { return transport_->origin(); }
  ClientTime idle_since() const { return idle_since_; }

  void drop(ClientCall& call) override;
  void pause(ClientCall&) override {}  // read() looks at the call
  void resume(ClientCall& call) override;

 private:
  void write();
  void await_readable();
  void await_writable();
  void read();
  void read_idle();
  void deliver();
  base::Status parse_head();
  bool all_written() const { return written_ == head_text_.size() + body_.size(); }
  void new_parser();
  size_t make_room();
  void release_buffer();
  base::Bytes take(std::string_view piece);
  void finish();
  void at_eof();
  void lost(const std::string& why);
  void fail(base::Error error);

  std::shared_ptr<ClientCore> core_;
  std::shared_ptr<Transport> transport_;
  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
  bool served_ = false;  // a call before
  bool reused_ = false;  // for the call now
  ClientTime idle_since_;

  std::shared_ptr<ClientCall> call_;  // null: idle or closed
  std::string head_text_;             // of the request
  base::Bytes body_;                  // of the request
  size_t written_ = 0;                // of both
  bool write_failed_ = false;

  std::shared_ptr<char[]> buffer_;  // null while idle
  bool lent_ = false;               // pieces of the buffer were handed out: what was read is not written over
  size_t begin_ = 0;                // bytes of the buffer not yet delivered
  size_t end_ = 0;
  std::optional<Http1AnswerHead> parser_;  // set until the head is complete
  BodyDecoder decoder_ = BodyDecoder::none();
  bool answer_begun_ = false;  // a byte of the answer came
  bool keep_alive_ = false;
};

}  // namespace payonce::net
