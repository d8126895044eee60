// HTTP client towards upstreams: pooled keep-alive HTTP/1.1 connections, HTTP/2 by ALPN or prior knowledge (one
// connection, many streams), TLS with verification, timeouts on every step, cancel, back-pressure. Threads: one
// Client per event loop, that loop only.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/metrics.h"
#include "base/result.h"
#include "net/event_loop.h"
#include "net/message.h"
#include "net/tls.h"

namespace payonce::net {

struct Origin {
  bool tls = false;
  bool http2_prior_knowledge = false;  // h2c on plain sockets
  std::string host;
  uint16_t port = 80;
  bool operator==(const Origin&) const = default;
  // "http://host[:port]/prefix" or https → origin; `path_prefix` gets "/prefix" without a trailing slash.
  static base::Result<Origin> parse(std::string_view url, std::string* path_prefix);
};

struct CallTimeouts {
  int64_t connect_ms = 10'000;      // DNS, TCP and TLS
  int64_t first_byte_ms = 600'000;  // request sent → head of the answer
  int64_t idle_ms = 300'000;        // between two reads of the body
};

// What comes back; all calls on the client's loop. Exactly one of on_end and on_error ends it; after cancel() none
// comes.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  virtual void on_head(ResponseHead head) = 0;
  virtual void on_data(base::Bytes chunk) = 0;
  virtual void
  on_end() = 0;  // complete by its framing (Content-Length met, last chunk, END_STREAM, or close-delimited)
  // kUnavailable (refused, reset, cut short, bad framing), kTimeout. `sent` false: the request never reached the
  // upstream (safe to send again whatever it is).
  virtual void on_error(base::Error error, bool sent) = 0;
};

class Call {
 public:
  virtual ~Call() = default;
  virtual void cancel() = 0;  // closes the HTTP/1.1 connection or resets the stream; idempotent
  virtual void pause() = 0;   // stop reading (back-pressure to the upstream)
  virtual void resume() = 0;
};

class Client {
 public:
  struct Options {
    ClientTls tls;
    size_t max_idle_per_origin = 64;
    int64_t idle_timeout_ms = 30'000;  // below the usual keep-alive of servers
    size_t max_head_bytes = 64 * 1024;
    base::Gauge connections;
  };
  Client(EventLoop& loop, Options options);
  ~Client();  // cancels what is in flight

  // Sends head.method head.target with exactly the given headers plus Host and framing. `body` goes out byte for
  // byte. An idle pooled connection that the upstream has closed meanwhile is replaced and the request sent again by
  // the client itself, when no byte of an answer had come.
  std::shared_ptr<Call> send(const Origin& origin, RequestHead head, base::Bytes body, const CallTimeouts& timeouts,
                             std::shared_ptr<ResponseSink> sink);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace payonce::net
