// Body of an HTTP/1.1 request: decodes Content-Length and chunked framing (RFC 9112 6.2, 7.1) into one string.
// The string grows with the bytes that came, never with the bytes that were claimed.
// Threads: one loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "net/server_answer.h"

namespace payonce::net {

class Http1Body {
 public:
  enum class State { kMore, kDone, kFailed };

  static Http1Body with_length(uint64_t length);  // caller has checked the limit
  static Http1Body chunked(size_t max_body_bytes);

  State state() const { return state_; }
  const HttpError& error() const { return error_; }  // kFailed

  // Takes what belongs to this body; returns how many bytes that was. Less than all only when kDone or kFailed.
  size_t feed(std::string_view data);

  // Content-Length only: where to read the next bytes to, so that a large body is not copied; empty: use feed().
  std::span<char> direct_space();
  void direct_filled(size_t size);

  size_t size() const { return filled_; }
  std::string take();  // kDone

 private:
  enum class Step { kLength, kSize, kExtension, kData, kDataEnd, kTrailer };

  void fail(int status, std::string message);
  size_t take_data(std::string_view data);
  size_t feed_chunked(std::string_view data);
  size_t feed_line(std::string_view data);  // kSize: up to and with its CRLF, or a part
  size_t feed_extension(std::string_view data);
  size_t feed_data_end(std::string_view data);
  size_t feed_trailer(std::string_view data);
  void end_size_line();

  Step step_ = Step::kLength;
  State state_ = State::kMore;
  uint64_t left_ = 0;  // bytes of the body (kLength) or of this chunk (kData)
  size_t max_body_bytes_ = 0;
  size_t filled_ = 0;      // body_ may be longer: space for direct reads
  size_t digits_ = 0;      // of this chunk's size
  size_t side_bytes_ = 0;  // extensions of this chunk, or trailers
  size_t line_bytes_ = 0;  // trailer: bytes of this line
  bool cr_seen_ = false;
  std::string body_;
  HttpError error_;
};

}  // namespace payonce::net
