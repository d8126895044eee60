#include "net/http2_server_callbacks.h"

#include <algorithm>
#include <array>
#include <memory>

#include "net/http2_server_connection.h"

namespace payonce::net {
namespace {

// One stream has a quarter of the connection's window, so that a stalled one does not stop the others.
constexpr int32_t kServerStreamWindowBytes = 256 * 1024;
constexpr int32_t kServerWindowBytes = 1024 * 1024;

std::string_view text(const uint8_t* data, size_t size) { return {reinterpret_cast<const char*>(data), size}; }

Http2ServerConnection& connection_of(void* user_data) { return *static_cast<Http2ServerConnection*>(user_data); }

bool is_request_head(const nghttp2_frame* frame) {
  return frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST;
}

}  // namespace

struct Http2Callbacks {
  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    if (is_request_head(frame)) connection_of(user_data).begin_stream(frame->hd.stream_id);
    return 0;
  }

  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
    if (!is_request_head(frame)) return 0;  // trailers are read over
    Http2ServerConnection& connection = connection_of(user_data);
    if (Http2Stream* stream = connection.find(frame->hd.stream_id))
      connection.take_field(*stream, text(name, name_size), text(value, value_size));
    return 0;
  }

  static int on_frame_recv(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Http2ServerConnection& connection = connection_of(user_data);
    if (frame->hd.type == NGHTTP2_RST_STREAM) connection.count_reset();
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Http2Stream* stream = connection.find(frame->hd.stream_id);
    if (stream == nullptr) return 0;
    const bool end_of_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    if (is_request_head(frame))
      connection.end_head(*stream, end_of_stream);
    else if (end_of_stream)
      connection.end_request(*stream);
    return 0;
  }

  static int on_data_chunk(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user_data) {
    connection_of(user_data).take_data(id, text(data, size));
    return 0;
  }

  static int on_stream_close(nghttp2_session*, int32_t id, uint32_t, void* user_data) {
    connection_of(user_data).close_stream(id);
    return 0;
  }

  // A refused request's client may still be sending: with the answer out, tell it to stop (RFC 9113 8.1).
  static int on_frame_send(nghttp2_session* session, const nghttp2_frame* frame, void* user_data) {
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
    const Http2Stream* stream = connection_of(user_data).find(frame->hd.stream_id);
    if (stream != nullptr && !stream->request_complete)
      nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, NGHTTP2_NO_ERROR);
    return 0;
  }

  static ssize_t read_data(nghttp2_session*, int32_t id, uint8_t*, size_t limit, uint32_t* flags,
                           nghttp2_data_source*, void* user_data) {
    Http2ServerConnection& connection = connection_of(user_data);
    Http2Stream* stream = connection.find(id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return connection.next_data(*stream, limit, *flags);
  }

  static int send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* header, size_t size,
                       nghttp2_data_source*, void* user_data) {
    Http2ServerConnection& connection = connection_of(user_data);
    Http2Stream* stream = connection.find(frame->hd.stream_id);
    if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    return connection.send_data(*stream, header, size);
  }
};

nghttp2_session* new_http2_server_session(Http2ServerConnection& connection, const Limits& limits) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* options = nullptr;
  nghttp2_session* session = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return nullptr;
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)> own_callbacks(
      callbacks, nghttp2_session_callbacks_del);
  if (nghttp2_option_new(&options) != 0) return nullptr;
  const std::unique_ptr<nghttp2_option, decltype(&nghttp2_option_del)> own_options(options, nghttp2_option_del);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Http2Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Http2Callbacks::on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Http2Callbacks::on_frame_recv);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Http2Callbacks::on_frame_send);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Http2Callbacks::on_data_chunk);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Http2Callbacks::on_stream_close);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, Http2Callbacks::send_data);
  nghttp2_option_set_no_auto_window_update(options, 1);  // give_credit() opens the windows
  nghttp2_option_set_max_outbound_ack(options, 1000);    // PING and SETTINGS floods
  if (nghttp2_session_server_new2(&session, callbacks, &connection, options) != 0) return nullptr;
  const std::array<nghttp2_settings_entry, 3> settings = {{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, static_cast<uint32_t>(limits.max_concurrent_streams)},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kServerStreamWindowBytes},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, static_cast<uint32_t>(limits.max_head_bytes)},
  }};
  nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, kServerWindowBytes);
  return session;
}

nghttp2_data_provider http2_answer_body() {
  nghttp2_data_provider provider{};
  provider.read_callback = Http2Callbacks::read_data;
  return provider;
}

}  // namespace payonce::net
