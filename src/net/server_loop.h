// One event loop's part of a Server: its acceptor, its connections, one coarse timer for all their deadlines.
// Owner: the Server and each connection share it. A connection is owned by its pending waits and its exchanges: when
// nothing can happen to it any more, it is gone.
// Threads: everything on the loop, except where it says otherwise.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/intrusive/list.hpp>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>

#include "net/server.h"
#include "net/server_answer.h"
#include "net/server_transport.h"

namespace payonce::net {

class ServerLoop;

// A connection in the list of its loop.
class ServerConnection
    : public std::enable_shared_from_this<ServerConnection>,
      public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

  explicit ServerConnection(std::shared_ptr<ServerLoop> home);
  virtual ~ServerConnection();
  ServerConnection(const ServerConnection&) = delete;
  ServerConnection& operator=(const ServerConnection&) = delete;

  virtual void begin_drain() = 0;  // finish what is in progress, then close
  virtual void cut() = 0;          // close now
  virtual void on_deadline() = 0;  // deadline_ms() has passed; must change it
  int64_t deadline_ms() const { return deadline_ms_; }

 protected:
  void set_timeout(int64_t ms);
  void clear_timeout() { deadline_ms_ = kNever; }

  const std::shared_ptr<ServerLoop> home_;
  int64_t deadline_ms_ = kNever;  // of steady_ms()
};

// What the loops of one server share.  Threads: any (options are read-only after start).
struct ServerShared {
  Server::Options options;
  Handler handler;
  std::shared_ptr<boost::asio::ssl::context> tls;  // null: plain
  std::atomic<size_t> connections = 0;
  std::atomic<bool> stopped = false;  // the Server is gone: no request may reach the handler
};

int64_t steady_ms();

class ServerLoop : public std::enable_shared_from_this<ServerLoop> {
 public:
  static constexpr size_t kReadBytes = 64 * 1024;

  ServerLoop(EventLoop& loop, std::shared_ptr<ServerShared> shared);

  // Any thread, once, before the loop uses this object.
  boost::system::error_code listen(const boost::asio::ip::tcp::endpoint& endpoint);
  uint16_t port() const;
  void start();

  void drain(int64_t deadline_ms, std::function<void()> done);
  void stop();  // cuts everything

  EventLoop& loop() { return loop_; }
  const Server::Options& options() const { return shared_->options; }
  const Limits& limits() const { return shared_->options.limits; }
  void handle(std::shared_ptr<Exchange> exchange);
  base::Bytes error_body(const HttpError& error) const;
  bool draining() const { return draining_; }
  int64_t drain_middle_ms() const { return drain_middle_ms_; }  // of steady_ms(): half of the time has gone by
  HttpDate& date() { return date_; }
  // For the read in progress alone: nobody else reads on this loop until it returns.
  std::span<char> read_buffer();

 private:
  friend class ServerConnection;
  void accept();
  void accepted(ServerTransport::Socket socket);
  void tick();
  void connection_gone();
  template <typename Visit>
  void for_each_connection(Visit&& visit);

  EventLoop& loop_;
  const std::shared_ptr<ServerShared> shared_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::steady_timer timer_;        // ticks while there are connections
  boost::asio::steady_timer retry_timer_;  // accept failed, e.g. no file descriptor left
  boost::intrusive::list<ServerConnection, boost::intrusive::constant_time_size<false>> connections_;
  size_t count_ = 0;
  int64_t tick_ms_;
  bool ticking_ = false;
  bool draining_ = false;
  int64_t drain_middle_ms_ = ServerConnection::kNever;
  int64_t drain_deadline_ms_ = ServerConnection::kNever;
  std::function<void()> drained_;
  int64_t turned_away_ms_ = 0;
  HttpDate date_;
  std::unique_ptr<char[]> read_buffer_;
};

}  // namespace payonce::net
