// HTTP server: HTTP/1.1 (keep-alive, pipelining, chunked, Expect) and HTTP/2 (ALPN on TLS; prior knowledge h2c on
// plain sockets, recognised by its preface). One acceptor per loop (SO_REUSEPORT). A request reaches the handler
// whole: head and body, inside the limits; bad framing is answered by the server itself (400, 408, 413, 431, 501,
// 505) by Options::error. Threads: constructor, start(), drain() one thread; a handler runs on the loop of its
// connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/metrics.h"
#include "base/result.h"
#include "net/event_loop.h"
#include "net/message.h"
#include "net/tls.h"

namespace payonce::net {

// One request and its answer. Answer either by respond(), or by start(), write()…, and finish() or abort().
// Threads: its loop only.  Owner: shared by the connection and the handler; when the handler drops it unanswered, the
// connection answers 500. After the client has left, all calls are no-ops.
class Exchange {
 public:
  virtual ~Exchange() = default;
  const RequestHead& head() const { return head_; }
  const base::Bytes& body() const { return body_; }
  virtual EventLoop& loop() = 0;
  virtual std::string remote_address() const = 0;  // without port

  // The whole answer in one gather write (the body is not copied). Adds Content-Length, Date.
  virtual void respond(ResponseHead head, base::Bytes body) = 0;
  // A streamed answer: chunked on HTTP/1.1, DATA frames on HTTP/2. An answer whose length is known may say so by
  // `content_length` (bytes): then it is framed by Content-Length.
  virtual void start(ResponseHead head, std::optional<uint64_t> content_length = std::nullopt) = 0;
  virtual void write(base::Bytes chunk) = 0;  // queued; several writes in one loop turn go out in one gather write
  virtual void finish() = 0;
  virtual void abort() = 0;  // cuts, so that the client sees that the answer is not complete (RST_STREAM, or close)
  virtual size_t unsent_bytes() const = 0;
  // More is unsent than Limits::write_high_water_bytes: who writes should wait for on_drained.
  virtual bool is_behind() const = 0;

  std::function<void()> on_drained;  // it was behind, and unsent_bytes() fell below Limits::write_low_water_bytes
  std::function<void()> on_closed;   // the client left before its answer was complete; last call of this exchange

 protected:
  RequestHead head_;
  base::Bytes body_;
};

using Handler = std::function<void(std::shared_ptr<Exchange>)>;

class Server {
 public:
  struct Options {
    std::string address = "127.0.0.1";  // or [::1], 0.0.0.0, a host name
    uint16_t port = 4141;               // 0: any free port
    ServerTls tls;
    Limits limits;
    // Body and content type of an answer to a request that cannot be handed to the handler; `target` may be empty.
    std::function<base::Bytes(int status, std::string_view message, std::string_view target)> error;  // JSON
    base::Gauge connections;
  };
  Server(EventLoops& loops, Options options, Handler handler);
  // Cuts everything, each loop in its own time: what handler and callbacks use must live until the loops have ended.
  ~Server();
  base::Status start();   // listens; the error names address and port and what to do (in use, not allowed)
  uint16_t port() const;  // the real one, after start()
  // Stops accepting, finishes the answers in progress (Connection: close; GOAWAY to a client that waits for none, or
  // when half of the time has gone by), then calls `done` on some loop; after `deadline_ms` what is left is cut.
  void drain(int64_t deadline_ms, std::function<void()> done);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace payonce::net
