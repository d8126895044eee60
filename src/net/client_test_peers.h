// For the tests of the client: a sink that writes down what comes, a loop that runs until something is so, and
// upstreams that follow a script with blocking sockets, one thread each.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "net/client.h"

namespace payonce::net {

struct RecordingSink : ResponseSink {
  // A hook may replace itself while it runs: what runs is a copy.
  static void run_copy(std::function<void()> hook) { hook(); }
  std::optional<ResponseHead> head;
  std::string body;
  std::vector<std::string> pieces;
  int ends = 0;
  int errors = 0;
  base::Error error;
  bool sent = false;
  std::function<void()> when_head = [] {};
  std::function<void()> when_data = [] {};
  std::function<void()> when_end = [] {};
  std::function<void()> when_error = [] {};

  void on_head(ResponseHead got) override {
    EXPECT_FALSE(head.has_value());
    head = std::move(got);
    run_copy(when_head);
  }
  void on_data(base::Bytes chunk) override {
    body += chunk.view();
    pieces.emplace_back(chunk.view());
    run_copy(when_data);
  }
  void on_end() override {
    ++ends;
    run_copy(when_end);
  }
  void on_error(base::Error got, bool was_sent) override {
    ++errors;
    error = std::move(got);
    sent = was_sent;
    run_copy(when_error);
  }
  bool over() const { return ends + errors > 0; }
};

class ScriptedServer {
 public:
  using Socket = boost::asio::ip::tcp::socket;
  using Script =
      std::function<void(Socket& socket, int connection)>;  // counts from 0; its return ends both directions

  explicit ScriptedServer(Script script)
      : acceptor_(context_, {boost::asio::ip::make_address("127.0.0.1"), 0}), script_(std::move(script)) {
    acceptor_thread_ = std::thread([this] { accept(); });
  }
  ~ScriptedServer() {
    stopping_ = true;
    boost::system::error_code ignored;
    Socket(context_).connect(acceptor_.local_endpoint(), ignored);  // wakes accept()
    acceptor_thread_.join();
    for (const auto& socket : sockets_) socket->shutdown(Socket::shutdown_both, ignored);  // wakes the scripts
    for (std::thread& thread : threads_) thread.join();
  }
  Origin origin() const { return {.host = "127.0.0.1", .port = acceptor_.local_endpoint().port()}; }
  int connections() const { return connections_; }

  // One request with its head and, by Content-Length, its body. Empty: the client closed.
  template <typename Stream>
  static std::string read_request(Stream& socket) {
    std::string text;
    boost::system::error_code error;
    const size_t head = boost::asio::read_until(socket, boost::asio::dynamic_buffer(text), "\r\n\r\n", error);
    if (error) return "";
    const size_t field = text.find("Content-Length: ");
    const size_t body = field == std::string::npos ? 0 : std::stoul(text.substr(field + 16));
    while (text.size() < head + body) {
      char part[65536];
      const size_t got = socket.read_some(boost::asio::buffer(part), error);
      if (error) return "";
      text.append(part, got);
    }
    return text;
  }
  template <typename Stream>
  static void write(Stream& socket, std::string_view text) {
    boost::system::error_code ignored;
    boost::asio::write(socket, boost::asio::buffer(text), ignored);
  }
  // Blocks until the client has closed.
  template <typename Stream>
  static void await_close(Stream& socket) {
    char byte = 0;
    boost::system::error_code error;
    while (!error) socket.read_some(boost::asio::buffer(&byte, 1), error);
  }
  // An answer for each request of the connection, until the client closes.
  static Script answering(std::string answer) {
    return [answer](Socket& socket, int) {
      while (!read_request(socket).empty()) write(socket, answer);
    };
  }

 private:
  void accept() {
    for (int count = 0;; ++count) {
      auto socket = std::make_shared<Socket>(context_);
      acceptor_.accept(*socket);
      if (stopping_) return;
      ++connections_;
      socket->set_option(boost::asio::ip::tcp::no_delay(true));
      sockets_.push_back(socket);
      threads_.emplace_back([this, socket, count] {
        script_(*socket, count);
        boost::system::error_code ignored;
        socket->shutdown(Socket::shutdown_both, ignored);
      });
    }
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::acceptor acceptor_;
  Script script_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> connections_ = 0;
  std::thread acceptor_thread_;
  std::vector<std::shared_ptr<Socket>> sockets_;
  std::vector<std::thread> threads_;
};

// The test's thread is the loop's thread.
class ClientTest : public testing::Test {
 protected:
  void TearDown() override {
    client.reset();
    loop.context().poll();  // what was posted or cancelled
  }
  template <typename Condition>
  void run_until(Condition&& so) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!so() && std::chrono::steady_clock::now() < limit)
      loop.context().run_one_for(std::chrono::milliseconds(20));
    ASSERT_TRUE(so()) << "did not come about within 20 s";
  }
  void start_client(Client::Options options = {}) { client = std::make_unique<Client>(loop, std::move(options)); }
  std::shared_ptr<RecordingSink> send(const Origin& origin, std::string method = "GET", std::string body = "",
                                      CallTimeouts timeouts = {}) {
    auto sink = std::make_shared<RecordingSink>();
    if (client == nullptr) start_client();
    call = client->send(origin,
                        {.method = std::move(method), .target = "/v1/x?y=1", .authority = {}, .headers = headers},
                        base::Bytes(std::move(body)), timeouts, sink);
    EXPECT_FALSE(sink->over()) << "send() called the sink";
    return sink;
  }
  std::shared_ptr<RecordingSink> fetch(const Origin& origin, std::string method = "GET", std::string body = "",
                                       CallTimeouts timeouts = {}) {
    auto sink = send(origin, std::move(method), std::move(body), timeouts);
    run_until([&] { return sink->over(); });
    return sink;
  }

  EventLoop loop;
  Headers headers;
  std::shared_ptr<Call> call;
  std::unique_ptr<Client> client;
};

}  // namespace payonce::net
