#include "net/server.h"

#include <fmt/format.h>

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <utility>

#include "net/server_loop.h"

namespace payonce::net {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

base::Error cannot_listen(const Server::Options& options, const error_code& error) {
  const auto code = base::Code::kUnavailable;
  const std::string where = fmt::format("cannot listen on {}:{}: ", options.address, options.port);
  if (error == boost::asio::error::address_in_use)
    return {code, where + "another program uses this port; stop it, or choose another with --listen"};
  if (error == boost::asio::error::access_denied)
    return {code, where + "ports below 1024 need privileges; choose a higher one with --listen"};
  if (error == boost::system::errc::address_not_available)
    return {code, where + "no network interface has this address; choose another with --listen"};
  return {code, where + error.message() + "; choose another address with --listen"};
}

base::Result<tcp::endpoint> resolve(EventLoop& loop, const Server::Options& options) {
  std::string host = options.address;
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  error_code error;
  const auto address = boost::asio::ip::make_address(host, error);
  if (!error) return tcp::endpoint(address, options.port);
  tcp::resolver resolver(loop.context());
  const auto found = resolver.resolve(host, std::to_string(options.port), tcp::resolver::passive, error);
  if (!error && !found.empty()) return found.begin()->endpoint();
  return base::fail(base::Code::kInvalid,
                    fmt::format("cannot listen on {}:{}: expected an IP address or a known host name "
                                "({}); choose another with --listen",
                                options.address, options.port, error.message()));
}

// With SO_REUSEPORT a second process would silently take a share of our clients; a plain bind tells that someone
// listens.
error_code probe(EventLoop& loop, const tcp::endpoint& endpoint) {
  error_code error;
  tcp::acceptor acceptor(loop.context());
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor.bind(endpoint, error);
  return error;
}

}  // namespace

struct Server::State {
  State(EventLoops& event_loops, Options options, Handler handler)
      : loops(event_loops), shared(std::make_shared<ServerShared>()) {
    shared->options = std::move(options);
    shared->handler = std::move(handler);
  }
  EventLoops& loops;
  std::shared_ptr<ServerShared> shared;
  std::vector<std::shared_ptr<ServerLoop>> parts;  // one per loop, after start()
  uint16_t port = 0;
};

Server::Server(EventLoops& loops, Options options, Handler handler)
    : state_(std::make_shared<State>(loops, std::move(options), std::move(handler))) {}

// The loops may still run: each ends its part in its own time, and owns all that it needs for that.
Server::~Server() {
  state_->shared->stopped.store(true, std::memory_order_release);
  for (const auto& part : state_->parts) part->loop().post([part] { part->stop(); });
}

base::Status Server::start() {
  ServerShared& shared = *state_->shared;
  const Options& options = shared.options;
  if (!options.tls.certificate_file.empty()) {
    PAYONCE_TRY(shared.tls, make_server_tls(options.tls));
  }
  PAYONCE_TRY(tcp::endpoint endpoint, resolve(state_->loops[0], options));
  if (options.port != 0) {
    if (const error_code error = probe(state_->loops[0], endpoint)) return base::fail(cannot_listen(options, error));
  }
  std::vector<std::shared_ptr<ServerLoop>> parts;
  for (size_t i = 0; i < state_->loops.size(); ++i) {
    auto part = std::make_shared<ServerLoop>(state_->loops[i], state_->shared);
    if (const error_code error = part->listen(endpoint)) return base::fail(cannot_listen(options, error));
    endpoint.port(part->port());  // the first one picked it when it was 0
    parts.push_back(std::move(part));
  }
  state_->port = endpoint.port();
  state_->parts = std::move(parts);
  for (const auto& part : state_->parts) part->loop().post([part] { part->start(); });
  return {};
}

uint16_t Server::port() const { return state_->port; }

void Server::drain(int64_t deadline_ms, std::function<void()> done) {
  if (state_->parts.empty()) return state_->loops[0].post(std::move(done));
  struct Pending {
    std::atomic<size_t> parts;
    std::function<void()> done;
  };
  auto pending = std::make_shared<Pending>();
  pending->parts = state_->parts.size();
  pending->done = std::move(done);
  for (const auto& part : state_->parts) {
    part->loop().post([part, pending, deadline_ms] {
      part->drain(deadline_ms, [pending] {
        if (pending->parts.fetch_sub(1) == 1) pending->done();
      });
    });
  }
}

}  // namespace payonce::net
