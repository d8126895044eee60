// One HTTP/2 connection to an upstream: many calls, each a stream (RFC 9113), framed by nghttp2.
// Threads: the loop's.  Owner: the site of its origin while it takes new calls, and its waits for readiness.
// nghttp2 calls back while it reads input; sinks may re-enter anything. So the callbacks only note what came, stream
// by stream, and the sinks hear of it after nghttp2 has returned.
#pragma once

#include <nghttp2/nghttp2.h>

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "net/client_call.h"
#include "net/client_core.h"
#include "net/client_transport.h"

namespace payonce::net {

class Http2Connection final : public Carrier, public std::enable_shared_from_this<Http2Connection> {
 public:
  static std::shared_ptr<Http2Connection> open(std::shared_ptr<ClientCore> core,
                                               std::shared_ptr<Transport> transport);
  Http2Connection(std::shared_ptr<ClientCore> core, std::shared_ptr<Transport> transport);
  ~Http2Connection() override;

  void start(
      const std::shared_ptr<ClientCall>& call);  // waits inside nghttp2 while the peer's stream limit is reached
  void close();                                  // REQUIRES: no calls, or the client shuts down
  const Origin& origin() const { return transport_->origin(); }
  bool idle_before(ClientTime limit) const { return streams_.empty() && idle_since_ < limit; }

  void drop(ClientCall& call) override;
  void pause(ClientCall&) override {}  // deliver() looks at the call; what it leaves keeps the window shut
  void resume(ClientCall& call) override;

 private:
  struct End {};
  struct Failure {
    base::Error error;
    bool sent = true;
    bool stale = false;  // the connection had died before the request came: it may go out once more
  };
  using Event = std::variant<ResponseHead, base::Bytes, End, Failure>;
  struct Stream {
    int32_t id = 0;
    std::shared_ptr<ClientCall> call;
    base::Bytes body;     // of the request
    size_t body_at = 0;   // bytes given to nghttp2
    bool sent = false;    // its HEADERS frame went out
    bool reused = false;  // the connection had served before
    uint64_t received_before = 0;
    int status = 0;
    Headers headers;  // of the answer, while they come
    size_t header_bytes = 0;
    bool head_done = false;
    bool ended = false;  // an End or a Failure stands in events
    std::deque<Event> events;
  };

  // nghttp2's callbacks; `user` is the connection.
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int why, void* user);
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user);
  static int on_stream_close(nghttp2_session*, int32_t id, uint32_t code, void* user);
  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t* out, size_t room, uint32_t* flags,
                           nghttp2_data_source* source, void* user);

  static Http2Connection& self(void* user) { return *static_cast<Http2Connection*>(user); }
  void open_session();
  void note(Stream& stream, Event event);
  void note_failure(Stream& stream, std::string why, bool sent, bool stale);
  Stream* find(int32_t id);

  void read();
  void write();
  void await_readable();
  void await_writable();
  void deliver();
  void deliver(int32_t id);
  void take_no_new_calls();
  void fail_all(const std::string& why);
  void close_if_spent();
  void disconnect();

  std::shared_ptr<ClientCore> core_;
  std::shared_ptr<Transport> transport_;
  struct FreeSession {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };
  std::unique_ptr<nghttp2_session, FreeSession> session_;
  std::unordered_map<int32_t, Stream> streams_;
  std::vector<int32_t> ready_;  // streams with new events
  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
  bool going_away_ = false;  // no new calls
  bool served_ = false;
  bool write_failed_ = false;
  uint64_t received_bytes_ = 0;
  ClientTime idle_since_;

  std::shared_ptr<char[]> buffer_;  // what nghttp2 reads now; pieces of it are handed out
  bool lent_ = false;
  std::string unsent_;  // taken from nghttp2, not yet by the socket
  size_t unsent_at_ = 0;
};

}  // namespace payonce::net
