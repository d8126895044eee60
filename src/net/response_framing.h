// Where the body of an HTTP/1.1 answer ends, decided and followed by our own strict code (RFC 9112 6 and 7), and
// which fields of its head are for this hop alone.  Threads: values.  Errors: kUnavailable with "bad framing: …".
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "net/headers.h"

namespace payonce::net {

// Follows one body through any split of its bytes.
class BodyDecoder {
 public:
  static BodyDecoder none() { return with_length(0); }
  static BodyDecoder with_length(uint64_t size);
  static BodyDecoder chunked();
  static BodyDecoder until_close();

  struct Step {
    size_t consumed = 0;    // bytes of the input, framing included
    std::string_view data;  // the piece of body among them, a part of the input; may be empty
  };
  // REQUIRES: !done(). Takes bytes up to the end of the next contiguous piece of body. Call again with the rest.
  base::Result<Step> next(std::string_view input);
  bool done() const { return state_ == State::kDone; }
  bool until_close_only() const { return state_ == State::kUntilClose; }  // nothing else ends the body
  // The peer closed: ok if that ends the body.
  base::Status at_eof() const;

 private:
  enum class State {
    kLength,
    kUntilClose,
    kChunkSize,
    kChunkSpace,
    kChunkExtension,
    kChunkSizeLf,
    kChunkData,
    kChunkDataCr,
    kChunkDataLf,
    kTrailerStart,
    kTrailer,
    kTrailerLf,
    kEndLf,
    kDone,
  };
  explicit BodyDecoder(State state) : state_(state) {}
  base::Status take_framing(char c);
  base::Status take_size(char c);
  base::Status expect(char found, char expected, State next_state);

  State state_;
  uint64_t size_ = 0;          // of the body (kLength)
  uint64_t remaining_ = 0;     // of the body (kLength) or the chunk
  uint64_t received_ = 0;      // body bytes so far
  size_t size_digits_ = 0;     // of the chunk size
  size_t overhead_bytes_ = 0;  // of this chunk line, or of all trailers
};

// `raw` is the head as it came. RFC 9112 6.3; both Content-Length and Transfer-Encoding is an error (6.1 allows it).
base::Result<BodyDecoder> response_body(std::string_view request_method, int status, const Headers& raw);

// Whether the connection may carry another request after this answer (RFC 9112 9.3). HTTP/1.0 never.
bool keeps_alive(bool http_1_1, const Headers& raw);

// `raw` without the fields of the hop (RFC 9110 7.6.1, and those that Connection names), framing and Date.
Headers end_to_end_fields(const Headers& raw);

}  // namespace payonce::net
