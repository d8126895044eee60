// A server on loops of its own, and a blocking client, for the server's tests.
#pragma once

#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <future>
#include <string>
#include <string_view>

#include "net/server.h"

namespace payonce::net {

inline ResponseHead text_head(int status = 200) {
  ResponseHead head{.status = status, .headers = {}};
  head.headers.add("Content-Type", "text/plain");
  return head;
}

// The handler's state must be declared before this.
class TestServer {
 public:
  explicit TestServer(Handler handler, Server::Options options = {}, size_t loop_count = 1) : loops_(loop_count) {
    options.port = 0;
    server_ = std::make_unique<Server>(loops_, std::move(options), std::move(handler));
    const base::Status started = server_->start();
    EXPECT_TRUE(started) << started.error().message;
    loops_.start();
  }
  ~TestServer() {
    // As a program ends: drain cuts what is open, so that no handler keeps an exchange.
    drain(0).wait();
    server_.reset();
    loops_.stop();
  }
  Server& operator*() { return *server_; }
  uint16_t port() const { return server_->port(); }
  EventLoop& loop() { return loops_[0]; }
  std::future<void> drain(int64_t deadline_ms) {
    auto done = std::make_shared<std::promise<void>>();
    server_->drain(deadline_ms, [done] { done->set_value(); });
    return done->get_future();
  }
  // Runs `job` on the loop and waits for it.
  void in_loop(std::function<void()> job) {
    std::promise<void> done;
    loop().post([&] {
      job();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  EventLoops loops_;
  std::unique_ptr<Server> server_;
};

class TestClient {
 public:
  explicit TestClient(uint16_t port) : socket_(context_) {
    socket_.connect({boost::asio::ip::make_address("127.0.0.1"), port});
    socket_.set_option(boost::asio::ip::tcp::no_delay(true));
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  void send(std::string_view data) {
    boost::system::error_code ignored;  // a server that has refused may have closed
    boost::asio::write(socket_, boost::asio::buffer(data), ignored);
  }
  // What comes until `end` has come, or the connection ends.
  std::string read_until(std::string_view end) {
    while (buffer_.find(end) == std::string::npos && more()) {
    }
    const size_t found = buffer_.find(end);
    return take(found == std::string::npos ? buffer_.size() : found + end.size());
  }
  std::string read_all() {
    while (more()) {
    }
    return take(buffer_.size());
  }
  // One answer with Content-Length: head and body.
  std::string read_answer() {
    std::string head = read_until("\r\n\r\n");
    const size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    const size_t length = std::stoul(head.substr(at + 16));
    while (buffer_.size() < length && more()) {
    }
    return head + take(std::min(length, buffer_.size()));
  }
  std::string ask(std::string_view request) {
    send(request);
    return read_answer();
  }
  bool was_reset() const { return reset_; }
  void close() { socket_.close(); }
  boost::asio::ip::tcp::socket& socket() { return socket_; }

 private:
  bool more() {
    char piece[65536];
    boost::system::error_code error;
    const size_t got = socket_.read_some(boost::asio::buffer(piece), error);
    buffer_.append(piece, got);
    reset_ = reset_ || error == boost::asio::error::connection_reset;
    return !error;
  }
  std::string take(size_t size) {
    std::string out = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return out;
  }
  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_;
  std::string buffer_;
  bool reset_ = false;
};

// Answers with method, target and body.
inline void echo(const std::shared_ptr<Exchange>& exchange) {
  std::string text =
      exchange->head().method + " " + exchange->head().target + " " + std::string(exchange->body().view());
  exchange->respond(text_head(), base::Bytes(std::move(text)));
}

}  // namespace payonce::net
