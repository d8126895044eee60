// The answering half of Http2ServerConnection, and the exchange, which is its handle.
#include "net/http2_server_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "net/http2_server_callbacks.h"
#include "net/http2_server_connection.h"

namespace payonce::net {
namespace {

constexpr size_t kFrameHeaderBytes = 9;  // RFC 9113 4.1

// Names in lower case, as HTTP/2 wants them, in memory that stays while nghttp2 copies.
class AnswerFields {
 public:
  explicit AnswerFields(size_t bytes) { text_.reserve(bytes); }
  void add(std::string_view name, std::string_view value) {
    const size_t at = text_.size();
    for (const char c : name) text_ += base::lower(c);
    text_ += value;
    uint8_t* const start = reinterpret_cast<uint8_t*>(text_.data()) + at;
    fields_.push_back({start, start + name.size(), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  }
  const std::vector<nghttp2_nv>& fields() const { return fields_; }

 private:
  std::string text_;  // never grows beyond its first reserve
  std::vector<nghttp2_nv> fields_;
};

}  // namespace

Http2Exchange::Http2Exchange(std::shared_ptr<Http2ServerConnection> connection, Http2Stream& stream, base::Bytes body)
    : loop_(connection->home_->loop()),
      remote_address_(connection->transport_->remote_address()),
      connection_(std::move(connection)),
      stream_(&stream) {
  head_ = std::move(stream.head);
  body_ = std::move(body);
}

Http2Exchange::~Http2Exchange() {
  if (stream_ == nullptr) return;
  stream_->exchange = nullptr;
  // Of a loop that has ended nothing is left but to be destroyed.
  if (!loop_.context().stopped()) connection_->dropped(*stream_);
}

void Http2Exchange::release() {
  stream_->exchange = nullptr;
  stream_ = nullptr;
  connection_.reset();
}

void Http2Exchange::closed() {
  const auto callback = std::move(on_closed);
  release();
  if (callback) callback();
}

void Http2Exchange::respond(ResponseHead head, base::Bytes body) {
  if (const auto connection = connection_) connection->respond(*stream_, head, std::move(body));
}
void Http2Exchange::start(ResponseHead head, std::optional<uint64_t> content_length) {
  if (connection_) connection_->start_answer(*stream_, head, content_length, true);
}
void Http2Exchange::write(base::Bytes chunk) {
  if (const auto connection = connection_) connection->write(*stream_, std::move(chunk));
}
void Http2Exchange::finish() {
  if (const auto connection = connection_) connection->finish(*stream_);
}
void Http2Exchange::abort() {
  if (const auto connection = connection_) connection->abort(*stream_);
}

void Http2ServerConnection::respond(Http2Stream& stream, const ResponseHead& head, base::Bytes body) {
  if (stream.started) return abort(stream);
  const bool sized = !has_no_body(head.status);
  const bool with_body = sized && !stream.is_head && !body.empty();
  start_answer(stream, head, sized ? std::optional<uint64_t>(body.size()) : std::nullopt, with_body);
  if (with_body) write(stream, std::move(body));
  finish(stream);
}

void Http2ServerConnection::start_answer(Http2Stream& stream, const ResponseHead& head,
                                         std::optional<uint64_t> content_length, bool with_body) {
  if (stream.started) return;
  stream.started = true;
  stream.without_body = !with_body || stream.is_head || has_no_body(head.status);
  if (!stream.without_body) stream.length_left = content_length;
  AnswerFields fields(head.headers.lines().size() + 160);
  fields.add(":status", fmt::format("{:03}", head.status));
  bool dated = false;
  head.headers.for_each([&](std::string_view name, std::string_view value) {
    if (is_connection_field(name)) return;
    if (equals_ignoring_case(name, "date")) dated = true;
    fields.add(name, value);
  });
  if (content_length) fields.add("content-length", fmt::format("{}", *content_length));
  if (!dated) fields.add("date", home_->date().now());
  const nghttp2_data_provider body = http2_answer_body();
  nghttp2_submit_response(session_, stream.id, fields.fields().data(), fields.fields().size(),
                          stream.without_body ? nullptr : &body);
  schedule_pump();
}

void Http2ServerConnection::write(Http2Stream& stream, base::Bytes chunk) {
  if (!stream.started || stream.without_body || chunk.empty()) return;
  if (stream.length_left) {
    if (chunk.size() > *stream.length_left) return abort(stream);  // more than was announced
    *stream.length_left -= chunk.size();
  }
  const Limits& limits = home_->limits();
  if (stream.out.empty()) stream.deadline_ms = steady_ms() + limits.write_stall_timeout_ms;
  stream.out_bytes += chunk.size();
  stream.out.push_back(std::move(chunk));
  if (stream.out_bytes > limits.write_high_water_bytes) stream.above_high_water = true;
  if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(session_, stream.id);
  schedule_pump();
}

void Http2ServerConnection::finish(Http2Stream& stream) {
  if (!stream.started) return dropped(stream);
  if (stream.length_left.value_or(0) > 0) return abort(stream);
  stream.complete = true;
  if (stream.exchange != nullptr) stream.exchange->release();
  if (std::exchange(stream.deferred, false)) nghttp2_session_resume_data(session_, stream.id);
  schedule_pump();
}

void Http2ServerConnection::abort(Http2Stream& stream) {
  stream.aborted = true;
  if (stream.exchange != nullptr) stream.exchange->release();
  // What was written before still goes out: it may hold an error event. send_data() resets behind it.
  if (stream.out.empty()) nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_INTERNAL_ERROR);
  schedule_pump();
}

void Http2ServerConnection::dropped(Http2Stream& stream) {
  if (stream.started) return abort(stream);
  refuse(stream, {500, "The request was not answered.", {}});
}

ssize_t Http2ServerConnection::next_data(Http2Stream& stream, size_t limit, uint32_t& flags) {
  if (stream.out.empty() && !stream.complete) {
    stream.deferred = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  const size_t size = std::min(limit, stream.out_bytes);
  flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (stream.complete && size == stream.out_bytes) flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(size);
}

int Http2ServerConnection::send_data(Http2Stream& stream, const uint8_t* frame_header, size_t size) {
  if (output_.bytes() >= kOutputBytes) {
    output_full_ = true;
    return NGHTTP2_ERR_WOULDBLOCK;
  }
  output_.add_text(std::string_view(reinterpret_cast<const char*>(frame_header), kFrameHeaderBytes));
  stream.out_bytes -= size;
  while (size > 0) {
    base::Bytes& first = stream.out.front();
    const size_t part = std::min(size, first.size());
    output_.add(first.slice(0, part));
    size -= part;
    if (part == first.size())
      stream.out.pop_front();
    else
      first = first.slice(part, first.size() - part);
  }
  const Limits& limits = home_->limits();
  stream.deadline_ms = stream.out.empty() ? kNever : steady_ms() + limits.write_stall_timeout_ms;
  if (stream.out.empty() && stream.aborted)
    nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, NGHTTP2_INTERNAL_ERROR);
  if (stream.above_high_water && stream.out_bytes < limits.write_low_water_bytes) {
    stream.above_high_water = false;
    drained_.push_back(stream.id);
  }
  return 0;
}

}  // namespace payonce::net
