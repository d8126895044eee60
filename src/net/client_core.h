// What a Client is made of: the calls in flight, the connections of each origin, and one coarse timer for all of
// them. Threads: the loop's.  Owner: Client; calls and connections share it until shut_down() breaks the circle.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "net/client.h"
#include "net/client_call.h"
#include "net/client_transport.h"

namespace payonce::net {

class Http1Connection;
class Http2Connection;

class ClientCore : public std::enable_shared_from_this<ClientCore> {
 public:
  ClientCore(EventLoop& loop, Client::Options options);
  ~ClientCore();
  ClientCore(const ClientCore&) = delete;
  ClientCore& operator=(const ClientCore&) = delete;

  void start(const std::shared_ptr<ClientCall>& call);                      // takes it in flight
  void refuse(const std::shared_ptr<ClientCall>& call, base::Error error);  // fails in a later turn
  void forget(ClientCall& call);                                            // it is over
  void shut_down();                                                         // cancels all, tells nobody

  // For connections.
  void send_again(const std::shared_ptr<ClientCall>& call);  // not on an idle connection
  void put_idle(std::shared_ptr<Http1Connection> connection);
  void remove_idle(const Http1Connection& connection);
  void remove_http2(const Http2Connection& connection);  // takes no new calls
  void count_connection(int change) { options_.connections.add(change); }
  void post(std::function<void()> job) { loop_.post(std::move(job)); }
  const Client::Options& options() const { return options_; }
  // What a connection reads into: idle ones hold none, and asking the allocator for each answer costs more than
  // reading a small one.
  size_t buffer_bytes() const;
  std::shared_ptr<char[]> take_buffer();
  void give_back(std::shared_ptr<char[]> buffer);  // REQUIRES: nobody else holds it

 private:
  struct Dial;  // a connection on its way and the calls that wait for it
  struct Site {
    std::vector<std::shared_ptr<Http1Connection>> idle;  // last in, first out
    std::shared_ptr<Http2Connection> http2;
    std::shared_ptr<Dial> shared_dial;  // while the origin is known for HTTP/2: further calls wait here
    bool speaks_http2 = false;
  };
  // Origins come from the configuration, so the map is as small as the list of upstreams there.
  struct OriginHash {
    size_t operator()(const Origin& origin) const { return std::hash<std::string>()(origin.host) * 31 + origin.port; }
  };

  void route(const std::shared_ptr<ClientCall>& call);
  void dial(const std::shared_ptr<ClientCall>& call);
  void dialled(const std::shared_ptr<Dial>& dial, base::Status status);
  void start_tick();
  void tick();
  void close_idle(ClientTime now);

  EventLoop& loop_;
  Client::Options options_;
  base::Result<std::shared_ptr<boost::asio::ssl::context>> tls_;
  std::unordered_map<Origin, Site, OriginHash> sites_;
  std::unordered_set<std::shared_ptr<ClientCall>> calls_;
  std::unordered_set<std::shared_ptr<Dial>> dials_;
  std::shared_ptr<char[]> spare_buffer_;  // null: none
  boost::asio::steady_timer timer_;
  bool ticking_ = false;
  bool shut_down_ = false;
};

}  // namespace payonce::net
