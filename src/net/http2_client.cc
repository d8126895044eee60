#include "net/http2_client.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#include "base/ascii.h"
#include "base/bytes.h"
#include "net/response_framing.h"

namespace payonce::net {
namespace {

constexpr uint32_t kClientStreamWindowBytes = 1u << 20;
constexpr int32_t kClientWindowBytes = 4 << 20;

// nghttp2 copies names and values on submit; it wants them as pointers to bytes that are not const.
nghttp2_nv field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) { return const_cast<uint8_t*>(base::unsigned_bytes(text)); };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view text_of(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

// RFC 9113 8.2.2, and what this module itself writes.
bool is_for_http1_only(std::string_view lower_name) {
  static constexpr std::array<std::string_view, 8> kNames = {
      "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "te", "host", "content-length"};
  return std::find(kNames.begin(), kNames.end(), lower_name) != kNames.end();
}

bool is_request_headers(const nghttp2_frame* frame) {
  return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

}  // namespace

std::shared_ptr<Http2Connection> Http2Connection::open(std::shared_ptr<ClientCore> core,
                                                       std::shared_ptr<Transport> transport) {
  auto connection = std::make_shared<Http2Connection>(std::move(core), std::move(transport));
  connection->open_session();
  connection->write();
  connection->await_readable();
  return connection;
}

Http2Connection::Http2Connection(std::shared_ptr<ClientCore> core, std::shared_ptr<Transport> transport)
    : core_(std::move(core)), transport_(std::move(transport)), idle_since_(std::chrono::steady_clock::now()) {
  core_->count_connection(1);
}

Http2Connection::~Http2Connection() { disconnect(); }

void Http2Connection::open_session() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  nghttp2_session* session = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0 || nghttp2_option_new(&option) != 0) throw std::bad_alloc();
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
  nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_sent);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
  nghttp2_option_set_no_auto_window_update(option, 1);  // a paused stream must stop its sender
  const int made = nghttp2_session_client_new2(&session, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (made != 0) throw std::bad_alloc();
  session_.reset(session);

  const auto max_head = static_cast<uint32_t>(core_->options().max_head_bytes);
  const std::array<nghttp2_settings_entry, 3> settings = {
      {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kClientStreamWindowBytes},
       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, max_head}}};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kClientWindowBytes);
}

void Http2Connection::start(const std::shared_ptr<ClientCall>& call) {
  const auto self = shared_from_this();
  call->carried_by(self);
  const RequestHead& head = call->request();
  const std::string authority = call->authority();
  const std::string length = std::to_string(call->body().size());
  Headers lower;
  head.headers.for_each([&](std::string_view name, std::string_view value) {
    const std::string small = base::lowered(name);
    if (!is_for_http1_only(small)) lower.add(small, value);
  });
  std::vector<nghttp2_nv> fields = {field(":method", head.method), field(":scheme", origin().tls ? "https" : "http"),
                                    field(":authority", authority), field(":path", head.target)};
  lower.for_each([&](std::string_view name, std::string_view value) { fields.push_back(field(name, value)); });
  if (!call->body().empty()) fields.push_back(field("content-length", length));

  nghttp2_data_provider provider{};
  provider.read_callback = read_body;
  const int32_t id = nghttp2_submit_request(session_.get(), nullptr, fields.data(), fields.size(),
                                            call->body().empty() ? nullptr : &provider, nullptr);
  if (id < 0) {  // the stream ids are used up, after 2^30 calls
    take_no_new_calls();
    return core_->send_again(call);
  }
  Stream& stream = streams_[id];
  stream.id = id;
  stream.call = call;
  stream.body = call->body();
  stream.reused = std::exchange(served_, true);
  stream.received_before = received_bytes_;
  write();
}

Http2Connection::Stream* Http2Connection::find(int32_t id) {
  const auto found = streams_.find(id);
  return found == streams_.end() ? nullptr : &found->second;
}

void Http2Connection::note(Stream& stream, Event event) {
  if (stream.ended) return;
  stream.ended = std::holds_alternative<End>(event) || std::holds_alternative<Failure>(event);
  stream.events.push_back(std::move(event));
  ready_.push_back(stream.id);
}

void Http2Connection::note_failure(Stream& stream, std::string why, bool sent, bool stale) {
  note(stream,
       Failure{{base::Code::kUnavailable, fmt::format("HTTP/2 with {}: {}", transport_->name(), why)}, sent, stale});
}

int Http2Connection::on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  if (Stream* stream = self(user).find(frame->hd.stream_id)) {
    stream->headers = {};
    stream->status = 0;
    stream->header_bytes = 0;
  }
  return 0;
}

int Http2Connection::on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                               const uint8_t* value, size_t value_size, uint8_t, void* user) {
  Stream* stream = self(user).find(frame->hd.stream_id);
  if (stream == nullptr || stream->head_done) return 0;  // trailers are read over
  stream->header_bytes += name_size + value_size + 32;   // as RFC 9113 6.5.2 counts them
  if (stream->header_bytes > self(user).core_->options().max_head_bytes) {
    self(user).note_failure(*stream,
                            fmt::format("answer head of more than {} bytes; raise the limit of heads",
                                        self(user).core_->options().max_head_bytes),
                            true, false);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  const std::string_view name_text = text_of(name, name_size);
  const std::string_view value_text = text_of(value, value_size);
  if (name_text == ":status")  // three digits, as nghttp2 has checked
    stream->status = std::atoi(std::string(value_text).c_str());
  else
    stream->headers.add(name_text, value_text);
  return 0;
}

int Http2Connection::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  if (frame->hd.type == NGHTTP2_GOAWAY) self(user).take_no_new_calls();
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  Stream* stream = self(user).find(frame->hd.stream_id);
  if (stream == nullptr) return 0;
  if (frame->hd.type == NGHTTP2_HEADERS && !stream->head_done && stream->status >= 200) {
    stream->head_done = true;
    self(user).note(*stream, ResponseHead{stream->status, end_to_end_fields(stream->headers)});
  }
  if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) self(user).note(*stream, End{});
  return 0;
}

int Http2Connection::on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  if (!is_request_headers(frame)) return 0;
  if (Stream* stream = self(user).find(frame->hd.stream_id)) {
    stream->sent = true;
    stream->call->mark_sent();
  }
  return 0;
}

int Http2Connection::on_frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int why, void* user) {
  if (!is_request_headers(frame)) return 0;
  if (Stream* stream = self(user).find(frame->hd.stream_id))
    self(user).note_failure(*stream, nghttp2_strerror(why), false, self(user).going_away_);
  return 0;
}

int Http2Connection::on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* data, size_t size,
                             void* user) {
  // Streams that are paused must not close the window of the others, so only the stream's own waits for the sink.
  nghttp2_session_consume_connection(session, size);
  Stream* stream = self(user).find(id);
  if (stream == nullptr) return 0;
  const std::string_view piece = text_of(data, size);
  if (size < Transport::kCopiedPieceBytes) {
    self(user).note(*stream, base::Bytes::copy(piece));
  } else {
    self(user).lent_ = true;
    self(user).note(*stream, base::Bytes(self(user).buffer_, piece));
  }
  return 0;
}

int Http2Connection::on_stream_close(nghttp2_session*, int32_t id, uint32_t code, void* user) {
  Stream* stream = self(user).find(id);
  if (stream == nullptr || stream->ended) return 0;
  // RFC 9113 8.7: a refused stream, and one beyond GOAWAY's last (nghttp2 closes it with this code), was not worked
  // on.
  const bool refused = code == NGHTTP2_REFUSED_STREAM;
  self(user).note_failure(*stream, fmt::format("the stream was reset ({})", nghttp2_http2_strerror(code)),
                          stream->sent && !refused, refused && self(user).going_away_);
  return 0;
}

ssize_t Http2Connection::read_body(nghttp2_session*, int32_t id, uint8_t* out, size_t room, uint32_t* flags,
                                   nghttp2_data_source*, void* user) {
  Stream* stream = self(user).find(id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // nobody waits for the answer any more
  const size_t size = std::min(room, stream->body.size() - stream->body_at);
  std::memcpy(out, stream->body.data() + stream->body_at, size);
  stream->body_at += size;
  if (stream->body_at == stream->body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(size);
}

void Http2Connection::await_readable() {
  if (std::exchange(waiting_readable_, true)) return;
  transport_->wait_readable([self = shared_from_this()] {
    self->waiting_readable_ = false;
    self->read();
  });
}

void Http2Connection::await_writable() {
  if (std::exchange(waiting_writable_, true)) return;
  transport_->wait_writable([self = shared_from_this()] {
    self->waiting_writable_ = false;
    self->write();
    self->read();
  });
}

void Http2Connection::read() {
  const auto self = shared_from_this();
  for (int reads = 0; transport_->open(); ++reads) {
    if (reads == kReadsPerTurn) {
      core_->post([self] { self->read(); });
      break;
    }
    if (buffer_ == nullptr || lent_) buffer_ = std::make_shared_for_overwrite<char[]>(Transport::kBufferBytes);
    lent_ = false;
    const Transport::Step step = transport_->read(buffer_.get(), Transport::kBufferBytes);
    if (step.outcome == Transport::Outcome::kWantRead) break;
    if (step.outcome == Transport::Outcome::kWantWrite) return await_writable();
    if (step.outcome == Transport::Outcome::kClosed) return fail_all("the upstream closed the connection");
    if (step.outcome == Transport::Outcome::kFailed) return fail_all(transport_->failure());
    received_bytes_ += step.bytes;
    const ssize_t taken =
        nghttp2_session_mem_recv(session_.get(), base::unsigned_bytes({buffer_.get(), step.bytes}), step.bytes);
    if (taken < 0) return fail_all(nghttp2_strerror(static_cast<int>(taken)));
    deliver();
    if (!transport_->tls() && step.bytes < Transport::kBufferBytes) break;
  }
  write();
  close_if_spent();
  if (transport_->open()) await_readable();
}

// Never calls a sink: a connection that cannot be written to ends in read().
void Http2Connection::write() {
  while (transport_->open() && !write_failed_) {
    if (unsent_at_ == unsent_.size()) {
      unsent_.clear();
      unsent_at_ = 0;
      const uint8_t* data = nullptr;
      while (unsent_.size() < Transport::kBufferBytes) {
        const ssize_t size = nghttp2_session_mem_send(session_.get(), &data);
        if (size <= 0) break;
        unsent_.append(text_of(data, static_cast<size_t>(size)));
      }
      if (unsent_.empty()) break;
    }
    const Transport::Step step = transport_->write(std::string_view(unsent_).substr(unsent_at_), {});
    if (step.outcome == Transport::Outcome::kWantWrite) return await_writable();
    if (step.outcome == Transport::Outcome::kWantRead) return;
    if (step.outcome == Transport::Outcome::kDone)
      unsent_at_ += step.bytes;
    else
      write_failed_ = true;
  }
  // Frames that could not be sent (see on_frame_not_sent) have left their word; sinks hear it in a turn of its own.
  if (!ready_.empty()) core_->post([self = shared_from_this()] { self->deliver(); });
}

void Http2Connection::deliver() {
  const auto self = shared_from_this();
  for (const int32_t id : std::exchange(ready_, {})) deliver(id);
}

void Http2Connection::deliver(int32_t id) {
  for (Stream* stream = find(id); stream != nullptr; stream = find(id)) {
    if (stream->events.empty() || stream->call->paused()) return;
    const auto call = stream->call;
    Event event = std::move(stream->events.front());
    stream->events.pop_front();
    if (auto* head = std::get_if<ResponseHead>(&event)) {
      call->give_head(std::move(*head));
    } else if (auto* chunk = std::get_if<base::Bytes>(&event)) {
      if (session_ != nullptr) nghttp2_session_consume_stream(session_.get(), id, chunk->size());
      call->give_data(std::move(*chunk));
    } else {
      streams_.erase(id);
      idle_since_ = std::chrono::steady_clock::now();
      const auto* failure = std::get_if<Failure>(&event);
      if (failure == nullptr)
        call->give_end();
      else if (failure->stale && call->take_resend(failure->sent))
        core_->send_again(call);
      else
        call->give_error(failure->error, failure->sent);
    }
  }
}

void Http2Connection::take_no_new_calls() {
  going_away_ = true;
  core_->remove_http2(*this);
}

void Http2Connection::fail_all(const std::string& why) {
  const auto self = shared_from_this();
  take_no_new_calls();
  for (auto& [id, stream] : streams_)
    note_failure(stream, why, stream.sent, stream.reused && stream.received_before == received_bytes_);
  disconnect();
  deliver();
}

void Http2Connection::close_if_spent() {
  if (!transport_->open() || write_failed_) return;
  const bool over = nghttp2_session_want_read(session_.get()) == 0 && nghttp2_session_want_write(session_.get()) == 0;
  if (over || (going_away_ && streams_.empty())) fail_all("the upstream ended the session");
}

void Http2Connection::disconnect() {
  if (!transport_->open()) return;
  transport_->close();
  core_->count_connection(-1);
  session_ = nullptr;
}

void Http2Connection::close() {
  const auto self = shared_from_this();
  take_no_new_calls();
  streams_.clear();
  disconnect();
}

void Http2Connection::drop(ClientCall& call) {
  const auto found = std::find_if(streams_.begin(), streams_.end(),
                                  [&](const auto& stream) { return stream.second.call.get() == &call; });
  if (found == streams_.end()) return;
  if (session_ != nullptr) nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, found->first, NGHTTP2_CANCEL);
  streams_.erase(found);
  idle_since_ = std::chrono::steady_clock::now();
  write();
  if (going_away_ && streams_.empty()) core_->post([self = shared_from_this()] { self->read(); });  // which closes
}

void Http2Connection::resume(ClientCall& call) {
  for (const auto& [id, stream] : streams_)
    if (stream.call.get() == &call)
      return core_->post([self = shared_from_this(), id = id] {
        self->deliver(id);
        self->write();
      });
}

}  // namespace payonce::net
