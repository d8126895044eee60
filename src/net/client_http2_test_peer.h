// For the tests of the client: an HTTP/2 upstream on a blocking stream (plain or TLS), framed by nghttp2, that
// follows a script. One thread; lives as long as its connection.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>

#include "net/headers.h"

namespace payonce::net {

class Http2Peer {
 public:
  struct Request {
    Headers fields;
    std::string pseudo;  // ":name=value " in their order
    std::string body;
  };
  using Script = std::function<void(Http2Peer& peer, int32_t id, const Request& request)>;

  // Blocks until the client closes, or `leave` was called.
  template <typename Stream>
  static void serve(Stream& stream, Script on_request, uint32_t max_streams = 100) {
    Http2Peer peer(std::move(on_request), max_streams);
    char buffer[16384];
    boost::system::error_code error;
    while (!error && peer.flush(stream) && !peer.left_) {
      const size_t got = stream.read_some(boost::asio::buffer(buffer), error);
      if (error) break;
      if (nghttp2_session_mem_recv(peer.session_, reinterpret_cast<const uint8_t*>(buffer), got) < 0) break;
    }
    peer.flush(stream);
    nghttp2_session_del(peer.session_);
  }

  void answer(int32_t id, std::string body, std::string status = "200") {
    bodies_[id] = {std::move(body), 0};
    nghttp2_nv fields[] = {field(":status", status), field("content-type", "text/plain"), field("date", "now")};
    nghttp2_data_provider provider{};
    provider.read_callback = read_body;
    nghttp2_submit_response(session_, id, fields, 3, &provider);
  }
  void interim(int32_t id) {
    nghttp2_nv fields[] = {field(":status", "103"), field("link", "x")};
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, fields, 2, nullptr);
  }
  void reset(int32_t id, uint32_t code) { nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, code); }
  void go_away(int32_t last) {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0);
  }
  void leave() { left_ = true; }
  std::function<void(int32_t id, uint32_t code)> when_closed = [](int32_t, uint32_t) {};
  std::function<void(int32_t id, size_t)> when_bytes_given = [](int32_t, size_t) {};  // bytes of one body so far

 private:
  Http2Peer(Script on_request, uint32_t max_streams) : on_request_(std::move(on_request)) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_server_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, max_streams}};
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, 1);
  }
  static Http2Peer& self(void* user) { return *static_cast<Http2Peer*>(user); }
  static std::string_view text(const uint8_t* data, size_t size) {
    return {reinterpret_cast<const char*>(data), size};
  }
  static nghttp2_nv field(std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view of) {
      return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(of.data()));
    };
    return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
  }
  template <typename Stream>
  bool flush(Stream& stream) {
    const uint8_t* data = nullptr;
    boost::system::error_code error;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &data)) > 0 && !error;)
      boost::asio::write(stream, boost::asio::buffer(data, static_cast<size_t>(size)), error);
    return !error;
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user) {
    Request& request = self(user).requests_[frame->hd.stream_id];
    if (name_size > 0 && *name == ':')
      request.pseudo.append(text(name, name_size)).append("=").append(text(value, value_size)).append(" ");
    else
      request.fields.add(text(name, name_size), text(value, value_size));
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
    self(user).requests_[id].body += text(data, size);
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    const bool of_request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (of_request && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
      self(user).on_request_(self(user), frame->hd.stream_id, self(user).requests_[frame->hd.stream_id]);
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t code, void* user) {
    self(user).when_closed(id, code);
    return 0;
  }
  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t* out, size_t room, uint32_t* flags,
                           nghttp2_data_source*, void* user) {
    auto& [body, at] = self(user).bodies_[id];
    const size_t size = std::min(room, body.size() - at);
    std::memcpy(out, body.data() + at, size);
    at += size;
    self(user).when_bytes_given(id, at);
    if (at == body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  Script on_request_;
  nghttp2_session* session_ = nullptr;
  bool left_ = false;
  std::map<int32_t, Request> requests_;
  std::map<int32_t, std::pair<std::string, size_t>> bodies_;
};

}  // namespace payonce::net
