#include "net/server_loop.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>
#include <vector>

#include "base/log.h"
#include "net/http1_server_connection.h"
#include "net/server_tls_handshake.h"

namespace payonce::net {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr int64_t kMaxTickMs = 500;
constexpr int64_t kMinTickMs = 10;
constexpr int64_t kTurnedAwayLogMs = 1000;  // at most one line per loop in this time
constexpr auto kAcceptRetry = std::chrono::milliseconds(100);

// A deadline is seen at most a quarter late, and at most kMaxTickMs.
int64_t tick_for(const Limits& limits) {
  const int64_t shortest = std::min({limits.head_timeout_ms, limits.body_timeout_ms, limits.idle_timeout_ms,
                                     limits.write_stall_timeout_ms, limits.tls_handshake_timeout_ms});
  return std::clamp(shortest / 4, kMinTickMs, kMaxTickMs);
}

}  // namespace

int64_t steady_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

ServerConnection::ServerConnection(std::shared_ptr<ServerLoop> home) : home_(std::move(home)) {
  home_->connections_.push_back(*this);
  ++home_->count_;
  home_->shared_->connections.fetch_add(1, std::memory_order_relaxed);
  home_->options().connections.add(1);
}

ServerConnection::~ServerConnection() {
  unlink();
  home_->connection_gone();
}

void ServerConnection::set_timeout(int64_t ms) { deadline_ms_ = steady_ms() + ms; }

ServerLoop::ServerLoop(EventLoop& loop, std::shared_ptr<ServerShared> shared)
    : loop_(loop),
      shared_(std::move(shared)),
      acceptor_(loop.context()),
      timer_(loop.context()),
      retry_timer_(loop.context()),
      tick_ms_(tick_for(shared_->options.limits)) {}

error_code ServerLoop::listen(const tcp::endpoint& endpoint) {
  error_code error;
  const int on = 1;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && ::setsockopt(acceptor_.native_handle(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0)
    error = error_code(errno, boost::system::system_category());
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
  return error;
}

uint16_t ServerLoop::port() const { return acceptor_.local_endpoint().port(); }

void ServerLoop::start() { accept(); }

void ServerLoop::accept() {
  acceptor_.async_accept(loop_.context(),
                         [self = shared_from_this()](error_code error, ServerTransport::Socket socket) {
                           if (!self->acceptor_.is_open()) return;
                           if (!error) {
                             self->accepted(std::move(socket));
                             self->accept();
                             return;
                           }
                           // Out of file descriptors, most likely: connections that end will free some.
                           base::log_warn("accept: {}; trying again", error.message());
                           self->retry_timer_.expires_after(kAcceptRetry);
                           self->retry_timer_.async_wait([self](error_code stopped) {
                             if (!stopped && self->acceptor_.is_open()) self->accept();
                           });
                         });
}

void ServerLoop::accepted(ServerTransport::Socket socket) {
  if (shared_->connections.load(std::memory_order_relaxed) >= limits().max_connections) {
    const int64_t now = steady_ms();
    if (now - turned_away_ms_ < kTurnedAwayLogMs) return;
    turned_away_ms_ = now;
    base::log_warn("clients are turned away: {} connections are open, the limit", limits().max_connections);
    return;
  }
  if (shared_->tls)
    start_tls_handshake(shared_from_this(), make_tls_transport(std::move(socket), *shared_->tls));
  else
    std::make_shared<Http1ServerConnection>(shared_from_this(), make_plain_transport(std::move(socket)))->start();
  tick();
}

void ServerLoop::tick() {
  if (ticking_ || count_ == 0) return;
  ticking_ = true;
  timer_.expires_after(std::chrono::milliseconds(tick_ms_));
  timer_.async_wait([self = shared_from_this()](error_code) {  // cancelled: drain() has set a nearer deadline
    self->ticking_ = false;
    const int64_t now = steady_ms();
    const bool cut_all = now >= self->drain_deadline_ms_;
    self->for_each_connection([&](ServerConnection& connection) {
      if (cut_all)
        connection.cut();
      else if (now >= connection.deadline_ms())
        connection.on_deadline();
    });
    self->tick();
  });
}

// A visit may end connections, also others: the list must not be walked meanwhile.
template <typename Visit>
void ServerLoop::for_each_connection(Visit&& visit) {
  std::vector<std::shared_ptr<ServerConnection>> all;
  all.reserve(count_);
  for (ServerConnection& connection : connections_)
    if (auto alive = connection.weak_from_this().lock()) all.push_back(std::move(alive));
  for (const auto& connection : all) visit(*connection);
}

void ServerLoop::connection_gone() {
  --count_;
  shared_->connections.fetch_sub(1, std::memory_order_relaxed);
  options().connections.add(-1);
  if (count_ > 0 || !drained_) return;
  loop_.post(std::exchange(drained_, nullptr));
}

void ServerLoop::drain(int64_t deadline_ms, std::function<void()> done) {
  error_code ignored;
  acceptor_.close(ignored);
  retry_timer_.cancel();
  draining_ = true;
  drain_middle_ms_ = steady_ms() + deadline_ms / 2;
  drain_deadline_ms_ = steady_ms() + deadline_ms;
  tick_ms_ = std::clamp(deadline_ms / 4, kMinTickMs, tick_ms_);
  if (count_ == 0) return done();
  timer_.cancel();
  drained_ = std::move(done);
  for_each_connection([](ServerConnection& connection) { connection.begin_drain(); });
}

void ServerLoop::stop() {
  error_code ignored;
  acceptor_.close(ignored);
  retry_timer_.cancel();
  draining_ = true;
  for_each_connection([](ServerConnection& connection) { connection.cut(); });
}

void ServerLoop::handle(std::shared_ptr<Exchange> exchange) {
  if (shared_->stopped.load(std::memory_order_acquire)) return;
  try {
    shared_->handler(std::move(exchange));
  } catch (const std::exception& error) {
    // The exchange is dropped on the way here, so its client gets a 500.
    base::log_error("request handler: {}", error.what());
  }
}

base::Bytes ServerLoop::error_body(const HttpError& error) const {
  if (options().error) return options().error(error.status, error.message, error.target);
  // Our own messages hold nothing that JSON would escape, but a library's might.
  std::string message;
  for (const char c : error.message)
    if (c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20) message += c;
  return base::Bytes(fmt::format(R"({{"error":{{"message":"{}"}}}})", message));
}

std::span<char> ServerLoop::read_buffer() {
  if (!read_buffer_) read_buffer_ = std::make_unique_for_overwrite<char[]>(kReadBytes);
  return {read_buffer_.get(), kReadBytes};
}

}  // namespace payonce::net
