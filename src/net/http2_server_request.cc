// The receiving half of Http2ServerConnection: frames become requests, inside the limits.
#include <fmt/format.h>

#include <algorithm>

#include "net/http2_server_connection.h"
#include "net/server_answer.h"

namespace payonce::net {
namespace {

// Rapid reset (CVE-2023-44487): requests that cost us work and their sender nothing.
constexpr size_t kMaxResets = 1000;
constexpr int64_t kResetWindowMs = 10'000;
constexpr size_t kFieldOverheadBytes = 32;  // RFC 9113 6.5.2

}  // namespace

Http2Stream* Http2ServerConnection::find(int32_t id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : found->second.get();
}

void Http2ServerConnection::begin_stream(int32_t id) {
  auto stream = std::make_unique<Http2Stream>();
  stream->id = id;
  stream->deadline_ms = steady_ms() + home_->limits().head_timeout_ms;
  streams_.emplace(id, std::move(stream));
}

void Http2ServerConnection::take_field(Http2Stream& stream, std::string_view name, std::string_view value) {
  stream.head_bytes += name.size() + value.size() + kFieldOverheadBytes;
  ++stream.field_count;
  if (stream.head_bytes > home_->limits().max_head_bytes || stream.field_count > home_->limits().max_header_count)
    return;
  if (name == ":method") {
    stream.head.method = value;
  } else if (name == ":path") {
    stream.head.target = value;
  } else if (name == ":authority") {
    stream.head.authority = value;
  } else if (name == "host") {
    if (stream.head.authority.empty()) stream.head.authority = value;
  } else if (name == "expect") {
    stream.expects_continue = equals_ignoring_case(value, "100-continue");
  } else if (!name.starts_with(':') && !is_connection_field(name)) {
    stream.head.headers.add(name, value);
  }
}

void Http2ServerConnection::end_head(Http2Stream& stream, bool end_of_stream) {
  const Limits& limits = home_->limits();
  stream.head_complete = true;
  stream.request_complete = end_of_stream;
  stream.is_head = stream.head.method == "HEAD";
  if (stream.head_bytes > limits.max_head_bytes || stream.field_count > limits.max_header_count)
    return refuse(stream, {431,
                           fmt::format("The request head is larger than {} bytes or {} fields.",
                                       limits.max_head_bytes, limits.max_header_count),
                           {}});
  if (!stream.head.target.starts_with('/')) return refuse(stream, {400, "The request path must start with '/'.", {}});
  if (end_of_stream) return end_request(stream);
  stream.deadline_ms = steady_ms() + limits.body_timeout_ms;
  if (!stream.expects_continue) return;
  std::string name = ":status", value = "100";
  const nghttp2_nv field{reinterpret_cast<uint8_t*>(name.data()), reinterpret_cast<uint8_t*>(value.data()),
                         name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, &field, 1, nullptr);
}

void Http2ServerConnection::take_data(int32_t id, std::string_view data) {
  nghttp2_session_consume_connection(session_, data.size());
  Http2Stream* stream = find(id);
  if (stream == nullptr || stream->refused) return;  // its window stays closed
  const size_t limit = home_->limits().max_body_bytes;
  if (data.size() > limit - stream->body.size()) {
    held_bytes_ -= stream->body_bytes;
    stream->body_bytes = 0;
    std::string().swap(stream->body);
    return refuse(*stream,
                  {413, fmt::format("The request body is larger than {} bytes.", limit), stream->head.target});
  }
  stream->body.append(data);
  stream->body_bytes += data.size();
  stream->uncredited_bytes += data.size();
  held_bytes_ += data.size();
  give_credit();
}

void Http2ServerConnection::give_credit() {
  const Limits& limits = home_->limits();
  // While an answer is pending its body's memory comes back some time, so the others can wait for that. Without one
  // the oldest request must go on, or all would wait for each other.
  const bool may_wait = std::any_of(streams_.begin(), streams_.end(), [](const auto& entry) {
    return entry.second->request_complete && entry.second->body_bytes > 0;
  });
  bool oldest = true;
  for (const auto& [id, stream] : streams_) {
    if (stream->request_complete || stream->refused) continue;
    const bool allowed = held_bytes_ < 2 * limits.max_body_bytes || (oldest && !may_wait);
    oldest = false;
    if (stream->uncredited_bytes == 0) continue;
    if (!allowed) {
      stream->deadline_ms = kNever;  // it is we who stop it
      continue;
    }
    nghttp2_session_consume_stream(session_, id, stream->uncredited_bytes);
    stream->uncredited_bytes = 0;
    if (stream->deadline_ms == kNever) stream->deadline_ms = steady_ms() + limits.body_timeout_ms;
  }
}

void Http2ServerConnection::end_request(Http2Stream& stream) {
  stream.request_complete = true;
  if (stream.refused) return;
  stream.deadline_ms = kNever;
  give_credit();  // the next one is the oldest now
  auto exchange = std::make_shared<Http2Exchange>(self(), stream, base::Bytes(std::move(stream.body)));
  stream.exchange = exchange.get();
  home_->handle(std::move(exchange));
}

void Http2ServerConnection::refuse(Http2Stream& stream, const HttpError& error) {
  stream.refused = true;
  stream.deadline_ms = kNever;
  ResponseHead head{.status = error.status, .headers = {}};
  head.headers.add("Content-Type", "application/json");
  respond(stream, head, home_->error_body(error));
}

void Http2ServerConnection::count_reset() {
  const int64_t now = steady_ms();
  if (now - reset_window_ms_ > kResetWindowMs) {
    reset_window_ms_ = now;
    resets_ = 0;
  }
  if (++resets_ > kMaxResets) terminate(NGHTTP2_ENHANCE_YOUR_CALM);
}

void Http2ServerConnection::close_stream(int32_t id) {
  const auto found = streams_.find(id);
  if (found == streams_.end()) return;
  const std::unique_ptr<Http2Stream> stream = std::move(found->second);
  streams_.erase(found);
  held_bytes_ -= stream->body_bytes;
  if (streams_.empty()) {
    idle_deadline_ms_ = steady_ms() + home_->limits().idle_timeout_ms;
    if (goaway_deadline_ms_ != kNever) go_away();
  }
  give_credit();
  if (stream->exchange != nullptr) stream->exchange->closed();
}

}  // namespace payonce::net
