#include "net/http2_server_connection.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "base/bytes.h"
#include "net/http2_server_callbacks.h"

namespace payonce::net {
namespace {

constexpr int64_t kGoodbyeMs = 2000;  // for a GOAWAY to reach the client

}  // namespace

Http2ServerConnection::Http2ServerConnection(std::shared_ptr<ServerLoop> home,
                                             std::unique_ptr<ServerTransport> transport)
    : ServerConnection(std::move(home)), transport_(std::move(transport)) {
  session_ = new_http2_server_session(*this, home_->limits());
}

Http2ServerConnection::~Http2ServerConnection() { nghttp2_session_del(session_); }

void Http2ServerConnection::start(std::string_view received) {
  idle_deadline_ms_ = steady_ms() + home_->limits().idle_timeout_ms;
  if (session_ == nullptr) return cut();
  if (!receive(received)) return;
  if (home_->draining()) begin_drain();
  pump();
  arm_read();
}

void Http2ServerConnection::arm_read() {
  if (read_armed_ || closed_) return;
  read_armed_ = true;
  transport_->wait_readable([keep = self(), this] {
    read_armed_ = false;
    on_readable();
  });
}

void Http2ServerConnection::on_readable() {
  for (int reads = 0; !closed_; ++reads) {
    const std::span<char> to = home_->read_buffer();
    const Io io = transport_->read(to.data(), to.size());
    if (io.state == IoState::kWantRead) break;
    if (io.state != IoState::kDone) return cut();
    if (!receive({to.data(), io.bytes})) return;
    if (!transport_->has_buffered() && (io.bytes < to.size() || reads >= kReadsPerTurn)) break;
  }
  pump();
  arm_read();
}

bool Http2ServerConnection::receive(std::string_view data) {
  receiving_ = true;
  const ssize_t used = nghttp2_session_mem_recv(session_, base::unsigned_bytes(data), data.size());
  receiving_ = false;
  if (used >= 0) return true;
  // Not even HTTP/2, or a flood: the session may still have a GOAWAY to send.
  pump();
  cut();
  return false;
}

void Http2ServerConnection::schedule_pump() {
  if (pump_posted_ || receiving_ || closed_) return;
  pump_posted_ = true;
  boost::asio::post(home_->loop().context(), [keep = self(), this] {
    pump_posted_ = false;
    pump();
  });
}

void Http2ServerConnection::pump() {
  if (closed_) return;
  const auto keep = self();
  bool all_taken = false;
  do {
    all_taken = fill_output();
    if (closed_) return;
  } while (flush() && !all_taken);
  if (closed_) return;
  call_drained();
  if (output_.empty() && nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0) {
    transport_->shutdown_write();
    return cut();
  }
  update_deadline();
}

bool Http2ServerConnection::fill_output() {
  output_full_ = false;
  while (output_.bytes() < kOutputBytes) {
    const uint8_t* data = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &data);
    if (size < 0) {
      cut();
      return true;
    }
    if (size == 0) return !output_full_;
    output_.add_text(std::string_view(reinterpret_cast<const char*>(data), static_cast<size_t>(size)));
  }
  return false;
}

bool Http2ServerConnection::flush() {
  if (write_armed_) return false;
  const Io io = output_.flush(*transport_);
  if (io.state == IoState::kDone) return true;
  if (io.state != IoState::kWantRead && io.state != IoState::kWantWrite) {
    cut();
    return false;
  }
  write_armed_ = true;
  write_deadline_ms_ = steady_ms() + home_->limits().write_stall_timeout_ms;
  const auto again = [keep = self(), this] {
    write_armed_ = false;
    write_deadline_ms_ = kNever;
    pump();
  };
  if (io.state == IoState::kWantRead)
    transport_->wait_readable(again);
  else
    transport_->wait_writable(again);
  return false;
}

// Outside of the session's own calls, since the handler may write at once.
void Http2ServerConnection::call_drained() {
  for (const int32_t id : std::exchange(drained_, {})) {
    const Http2Stream* stream = find(id);
    if (stream == nullptr || stream->exchange == nullptr || !stream->exchange->on_drained) continue;
    const auto on_drained = stream->exchange->on_drained;  // a copy: the callback may replace itself
    on_drained();
  }
}

void Http2ServerConnection::update_deadline() {
  deadline_ms_ = std::min({write_deadline_ms_, goaway_deadline_ms_, streams_.empty() ? idle_deadline_ms_ : kNever});
  for (const auto& [id, stream] : streams_) deadline_ms_ = std::min(deadline_ms_, stream->deadline_ms);
}

void Http2ServerConnection::on_deadline() {
  const auto keep = self();
  const int64_t now = steady_ms();
  if (now >= write_deadline_ms_) {
    transport_->reset();
    return cut();
  }
  if (now >= goaway_deadline_ms_) go_away();
  if (streams_.empty() && now >= idle_deadline_ms_) {
    if (terminated_) return cut();
    idle_deadline_ms_ = now + kGoodbyeMs;
    terminate(NGHTTP2_NO_ERROR);
  }
  for (const auto& [id, stream] : streams_) {
    if (now < stream->deadline_ms) continue;
    if (!stream->head_complete) return cut();  // between HEADERS and CONTINUATION no other frame may stand
    stream->deadline_ms = now + kGoodbyeMs;
    if (!stream->request_complete && !stream->refused)
      refuse(*stream, {408, "The request took too long.", stream->head.target});
    else
      nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
  }
  pump();
}

void Http2ServerConnection::terminate(uint32_t error_code) {
  if (std::exchange(terminated_, true)) return;
  nghttp2_session_terminate_session(session_, error_code);
  schedule_pump();
}

// Some clients (httpx: the h2 library) give up all their streams at a GOAWAY, and pay for them twice. So it is said
// to a client that waits for no answer; at the latest while there is still time for one.
void Http2ServerConnection::begin_drain() {
  if (closed_) return;
  goaway_deadline_ms_ = home_->drain_middle_ms();
  if (streams_.empty())
    go_away();
  else
    update_deadline();
}

// Streams that were begun go on; the client knows that it may repeat later ones elsewhere.
void Http2ServerConnection::go_away() {
  goaway_deadline_ms_ = kNever;
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(session_),
                        NGHTTP2_NO_ERROR, nullptr, 0);
  schedule_pump();
}

void Http2ServerConnection::cut() {
  if (std::exchange(closed_, true)) return;
  const auto keep = self();
  clear_timeout();
  transport_->close();
  output_.clear();
  // The callbacks may drop exchanges; the records must outlive that.
  const auto streams = std::exchange(streams_, {});
  for (const auto& [id, stream] : streams)
    if (stream->exchange != nullptr) stream->exchange->closed();
}

}  // namespace payonce::net
