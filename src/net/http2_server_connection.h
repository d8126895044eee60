// One HTTP/2 client (RFC 9113) on an nghttp2 server session: streams become exchanges. nghttp2 keeps the protocol
// (frames, HPACK, flow control arithmetic, validity of messages); this class keeps the limits, memory and time.
// Request bodies: a stream's window opens again only while the connection holds less than twice the body limit,
// bodies of pending answers included; so many large bodies wait for each other instead of piling up. Owner: see
// server_loop.h.  Threads: one loop.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "net/http2_server_stream.h"
#include "net/server_loop.h"
#include "net/server_output.h"

namespace payonce::net {

class Http2ServerConnection final : public ServerConnection {
 public:
  Http2ServerConnection(std::shared_ptr<ServerLoop> home, std::unique_ptr<ServerTransport> transport);
  ~Http2ServerConnection() override;
  void start(std::string_view received);  // bytes that were read already, from the preface on

  void begin_drain() override;
  void cut() override;
  void on_deadline() override;

 private:
  static constexpr size_t kOutputBytes = 256 * 1024;  // taken from the session before the socket has them
  friend class Http2Exchange;
  friend struct Http2Callbacks;

  // http2_server_connection.cc: the socket, time
  std::shared_ptr<Http2ServerConnection> self() {
    return std::static_pointer_cast<Http2ServerConnection>(shared_from_this());
  }
  void arm_read();
  void on_readable();
  bool receive(std::string_view data);
  void schedule_pump();
  void pump();
  bool fill_output();  // false: more is to come when output_ is out
  bool flush();        // false: not all is out
  void call_drained();
  void update_deadline();
  void terminate(uint32_t error_code);
  void go_away();

  // http2_server_request.cc: frames that come in
  Http2Stream* find(int32_t id);
  void begin_stream(int32_t id);
  void take_field(Http2Stream& stream, std::string_view name, std::string_view value);
  void end_head(Http2Stream& stream, bool end_of_stream);
  void take_data(int32_t id, std::string_view data);
  void end_request(Http2Stream& stream);
  void refuse(Http2Stream& stream, const HttpError& error);
  void give_credit();
  void count_reset();
  void close_stream(int32_t id);

  // http2_server_stream.cc: answers
  void respond(Http2Stream& stream, const ResponseHead& head, base::Bytes body);
  void start_answer(Http2Stream& stream, const ResponseHead& head, std::optional<uint64_t> content_length,
                    bool with_body);
  void write(Http2Stream& stream, base::Bytes chunk);
  void finish(Http2Stream& stream);
  void abort(Http2Stream& stream);
  void dropped(Http2Stream& stream);
  ssize_t next_data(Http2Stream& stream, size_t limit, uint32_t& flags);
  int send_data(Http2Stream& stream, const uint8_t* frame_header, size_t size);

  std::unique_ptr<ServerTransport> transport_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, std::unique_ptr<Http2Stream>> streams_;  // in order of age
  ServerOutput output_;
  std::vector<int32_t> drained_;  // streams whose on_drained is due
  size_t held_bytes_ = 0;         // of request bodies of open streams
  int64_t idle_deadline_ms_ = kNever;
  int64_t write_deadline_ms_ = kNever;
  int64_t goaway_deadline_ms_ = kNever;  // set: draining, and the client was not told yet
  int64_t reset_window_ms_ = 0;          // start of the window in which resets_ are counted
  size_t resets_ = 0;
  bool closed_ = false;
  bool read_armed_ = false;
  bool write_armed_ = false;
  bool pump_posted_ = false;
  bool receiving_ = false;    // receive() is on the stack; pump() follows it
  bool output_full_ = false;  // a DATA frame waits for room in output_
  bool terminated_ = false;
};

}  // namespace payonce::net
