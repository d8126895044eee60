// A blocking HTTP/2 client (prior knowledge) on an nghttp2 client session, for the server's tests.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "net/server_test_client.h"

namespace payonce::net {

class Http2TestClient {
 public:
  struct Answer {
    std::map<std::string, std::string> fields;
    std::string body;
    bool closed = false;
    uint32_t error_code = 0;
  };
  using Fields = std::vector<std::pair<std::string, std::string>>;

  explicit Http2TestClient(uint16_t port, bool read_data = true) : client_(port) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_option* options = nullptr;
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, read_data ? 0 : 1);
    nghttp2_session_client_new2(&session_, callbacks, this, options);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
  }
  ~Http2TestClient() { nghttp2_session_del(session_); }

  int32_t submit(const std::string& method, const std::string& path, const std::string* body = nullptr,
                 Fields more = {}) {
    Fields fields = {{":method", method}, {":path", path}, {":scheme", "http"}, {":authority", "host:1"}};
    fields.insert(fields.end(), more.begin(), more.end());
    std::vector<nghttp2_nv> raw;
    for (auto& [name, value] : fields) raw.push_back({bytes(name), bytes(value), name.size(), value.size(), 0});
    nghttp2_data_provider provider{};
    provider.read_callback = read_body;
    const int32_t id =
        nghttp2_submit_request(session_, nullptr, raw.data(), raw.size(), body ? &provider : nullptr, nullptr);
    if (body != nullptr) bodies_[id] = *body;
    answers_[id];
    return id;
  }
  void reset(int32_t id) { nghttp2_submit_rst_stream(session_, 0, id, NGHTTP2_CANCEL); }
  void send() {
    const uint8_t* data = nullptr;
    for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &data)) > 0;)
      client_.send({reinterpret_cast<const char*>(data), static_cast<size_t>(size)});
  }
  // Exchanges frames until `done` holds or the connection ends.
  bool run_until(const std::function<bool()>& done) {
    send();
    while (!done()) {
      std::string data(65536, '\0');
      boost::system::error_code error;
      data.resize(client_.socket().read_some(boost::asio::buffer(data), error));
      if (error) return done();
      if (nghttp2_session_mem_recv(session_, bytes(data), data.size()) < 0) return false;
      send();
    }
    return true;
  }
  const Answer& wait(int32_t id) {
    EXPECT_TRUE(run_until([&] { return answers_[id].closed; })) << "stream " << id;
    return answers_[id];
  }
  const Answer& answer(int32_t id) { return answers_[id]; }
  bool got_goaway() const { return goaway_; }
  uint32_t goaway_code() const { return goaway_code_; }
  size_t open_at_goaway() const { return open_at_goaway_; }  // streams without the end of their answer
  TestClient& connection() { return client_; }

 private:
  static uint8_t* bytes(std::string& text) { return reinterpret_cast<uint8_t*>(text.data()); }
  static Http2TestClient& self(void* user_data) { return *static_cast<Http2TestClient*>(user_data); }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user) {
    self(user).answers_[frame->hd.stream_id].fields[std::string(reinterpret_cast<const char*>(name), name_size)] =
        std::string(reinterpret_cast<const char*>(value), value_size);
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
    self(user).answers_[id].body.append(reinterpret_cast<const char*>(data), size);
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t error_code, void* user) {
    self(user).answers_[id].closed = true;
    self(user).answers_[id].error_code = error_code;
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type != NGHTTP2_GOAWAY) return 0;
    Http2TestClient& me = self(user);
    me.goaway_ = true;
    me.goaway_code_ = frame->goaway.error_code;
    me.open_at_goaway_ = static_cast<size_t>(
        std::ranges::count_if(me.answers_, [](const auto& answer) { return !answer.second.closed; }));
    return 0;
  }
  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t* to, size_t limit, uint32_t* flags,
                           nghttp2_data_source*, void* user) {
    std::string& body = self(user).bodies_[id];
    const size_t size = std::min(limit, body.size());
    std::copy_n(body.begin(), size, reinterpret_cast<char*>(to));
    body.erase(0, size);
    if (body.empty()) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return static_cast<ssize_t>(size);
  }

  TestClient client_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, Answer> answers_;
  std::map<int32_t, std::string> bodies_;
  bool goaway_ = false;
  uint32_t goaway_code_ = 0;
  size_t open_at_goaway_ = 0;
};

}  // namespace payonce::net
