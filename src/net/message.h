// What HTTP/1.1 and HTTP/2 have in common: heads of requests and responses, and the named limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "net/headers.h"

namespace payonce::net {

struct RequestHead {
  std::string method;
  std::string target;     // origin-form: path and query, starts with '/'
  std::string authority;  // Host or :authority
  Headers headers;  // without Host, hop-by-hop and framing fields (Connection, TE, Transfer-Encoding, Content-Length)
  std::string path() const { return target.substr(0, target.find('?')); }
};

struct ResponseHead {
  int status = 200;
  Headers headers;  // without hop-by-hop and framing fields; the connection adds those
};

// Everything that a peer can make large or slow, with its limit.
struct Limits {
  size_t max_head_bytes = 64 * 1024;
  size_t max_header_count = 256;
  size_t max_body_bytes = 32u << 20;        // requests, chunked too
  size_t max_connections = 20'000;          // clients, per server
  size_t max_concurrent_streams = 128;      // HTTP/2, per connection
  int64_t head_timeout_ms = 30'000;         // first byte of a request to the end of its head
  int64_t body_timeout_ms = 30'000;         // end of head to end of body (whole body, not per read)
  int64_t idle_timeout_ms = 75'000;         // keep-alive
  int64_t write_stall_timeout_ms = 30'000;  // no byte accepted by the client for so long
  int64_t tls_handshake_timeout_ms = 10'000;
  size_t write_high_water_bytes = 1u << 20;  // unsent bytes at which a streamed answer should pause
  size_t write_low_water_bytes = 256 * 1024;
};

}  // namespace payonce::net
