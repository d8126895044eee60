// One HTTP/1.1 client: reads a request, hands it over whole, writes its answer, then reads the next. A hit costs one
// read and one write. While an answer is pending the socket is watched only to see the client leave; requests that
// come meanwhile stay in `in_`, up to Limits::max_head_bytes, and are answered in order. Owner: see server_loop.h.
// Threads: one loop.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/http1_body.h"
#include "net/http1_head.h"
#include "net/server_loop.h"
#include "net/server_output.h"

namespace payonce::net {

class Http1ServerConnection;

class Http1Exchange final : public Exchange {
 public:
  Http1Exchange(std::shared_ptr<Http1ServerConnection> connection, RequestHead head, base::Bytes body);
  ~Http1Exchange() override;
  EventLoop& loop() override { return loop_; }
  std::string remote_address() const override { return remote_address_; }
  void respond(ResponseHead head, base::Bytes body) override;
  void start(ResponseHead head, std::optional<uint64_t> content_length) override;
  void write(base::Bytes chunk) override;
  void finish() override;
  void abort() override;
  size_t unsent_bytes() const override;
  bool is_behind() const override;

 private:
  friend class Http1ServerConnection;
  EventLoop& loop_;
  std::string remote_address_;
  std::shared_ptr<Http1ServerConnection> connection_;  // null: answered, or the client has left
};

class Http1ServerConnection final : public ServerConnection {
 public:
  Http1ServerConnection(std::shared_ptr<ServerLoop> home, std::unique_ptr<ServerTransport> transport);
  void start();

  void begin_drain() override;
  void cut() override;
  void on_deadline() override;

 private:
  friend class Http1Exchange;
  enum class Phase { kHead, kBody, kAnswer, kLinger, kClosed };
  enum class Framing { kNotStarted, kNoBody, kLength, kChunked, kUntilClose };
  struct Incoming {  // a request whose body is on its way
    RequestHead head;
    Http1Body body;
  };

  // http1_server_connection.cc: reading
  std::shared_ptr<Http1ServerConnection> self() {
    return std::static_pointer_cast<Http1ServerConnection>(shared_from_this());
  }
  void arm_read();
  void on_readable();
  void read_request();
  void watch_client();
  void discard();
  void receive(std::string_view data);
  size_t process(std::string_view data);
  size_t take_head(std::string_view data);
  size_t wait_for_head();
  size_t take_body(std::string_view data);
  void begin_request(std::string_view head);
  void end_body();
  void dispatch(RequestHead head, base::Bytes body);
  void refuse(const HttpError& error);
  void resume();
  void client_left();
  void close_gracefully();
  void begin_linger();

  // http1_server_answer.cc: writing
  void respond(const ResponseHead& head, base::Bytes body);
  void start_answer(const ResponseHead& head, std::optional<uint64_t> content_length);
  void write(base::Bytes chunk);
  void finish();
  void abort();
  void dropped();  // by its handler, before the answer was complete
  void release_exchange();
  std::string answer_head(const ResponseHead& head, std::string_view framing);
  void schedule_flush();
  void flush();
  void end_answer();
  void next_request();

  std::unique_ptr<ServerTransport> transport_;
  Phase phase_ = Phase::kHead;
  bool read_armed_ = false;
  bool write_armed_ = false;
  bool flush_posted_ = false;
  bool processing_ = false;  // process() is on the stack and goes on with the next request itself
  bool first_request_ = true;
  bool head_started_ = false;  // the first bytes of a head are in in_
  bool close_after_ = false;   // after this answer
  bool linger_ = false;        // the client may still be sending: read that, or it would lose our answer to a RST
  bool aborted_ = false;
  bool answer_complete_ = false;  // all of it is in output_
  bool above_high_water_ = false;

  std::string in_;           // read, not yet used; empty (and without memory) when idle
  size_t head_scanned_ = 0;  // of the head at the start of in_
  size_t linger_left_ = 0;   // bytes
  std::unique_ptr<Incoming> incoming_;

  Http1Exchange* exchange_ = nullptr;  // unanswered
  int minor_version_ = 1;
  bool is_head_ = false;
  Framing framing_ = Framing::kNotStarted;
  uint64_t length_left_ = 0;  // kLength: bytes of the answer to come
  ServerOutput output_;
};

}  // namespace payonce::net
