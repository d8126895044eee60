// One HTTP/2 request and its answer: the connection's record of it, and the handle that the handler gets.
// Threads: one loop.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "net/server.h"

namespace payonce::net {

class Http2ServerConnection;
class Http2Exchange;

struct Http2Stream {
  int32_t id = 0;
  int64_t deadline_ms = 0;  // for the head, then the body, then the next byte of the answer

  RequestHead head;
  size_t head_bytes = 0;  // as RFC 9113 6.5.2 counts them: 32 more for each field
  size_t field_count = 0;
  std::string body;
  size_t body_bytes = 0;        // received, counted in the connection's held bytes
  size_t uncredited_bytes = 0;  // received, window not opened for them yet
  bool expects_continue = false;
  bool head_complete = false;
  bool request_complete = false;
  bool refused = false;  // answered by the connection itself: what still comes is dropped
  bool is_head = false;

  Http2Exchange* exchange = nullptr;  // unanswered
  std::deque<base::Bytes> out;
  size_t out_bytes = 0;
  std::optional<uint64_t> length_left;  // of an answer with Content-Length
  bool started = false;
  bool without_body = false;
  bool complete = false;  // all of the answer is in `out`
  bool aborted = false;   // RST_STREAM behind what is in `out`
  bool deferred = false;  // nghttp2 waits for more in `out`
  bool above_high_water = false;
};

class Http2Exchange final : public Exchange {
 public:
  Http2Exchange(std::shared_ptr<Http2ServerConnection> connection, Http2Stream& stream, base::Bytes body);
  ~Http2Exchange() override;
  EventLoop& loop() override { return loop_; }
  std::string remote_address() const override { return remote_address_; }
  void respond(ResponseHead head, base::Bytes body) override;
  void start(ResponseHead head, std::optional<uint64_t> content_length) override;
  void write(base::Bytes chunk) override;
  void finish() override;
  void abort() override;
  size_t unsent_bytes() const override { return stream_ == nullptr ? 0 : stream_->out_bytes; }
  bool is_behind() const override { return stream_ != nullptr && stream_->above_high_water; }

  void release();  // answered, or the client has left
  void closed();   // the client has left

 private:
  EventLoop& loop_;
  std::string remote_address_;
  std::shared_ptr<Http2ServerConnection> connection_;
  Http2Stream* stream_;  // null: released
};

}  // namespace payonce::net
