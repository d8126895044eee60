// One TCP or TLS connection to an origin, with non-blocking reads and writes and waits for readiness between them.
// Both kinds look the same to HTTP: OpenSSL works on the non-blocking socket, and asks for readiness as the socket
// does. Threads: the loop's.  Owner: shared, since handlers on their way keep it alive. After close() no callback
// comes.
#pragma once

#include <openssl/ssl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/client.h"

namespace payonce::net {

class Transport final : public std::enable_shared_from_this<Transport> {
 public:
  // A buffer to read into. Of what was read into one, smaller pieces are copied, and the buffer is used again.
  static constexpr size_t kBufferBytes = 64 * 1024, kCopiedPieceBytes = 4096;

  enum class Outcome { kDone, kWantRead, kWantWrite, kClosed, kFailed };
  struct Step {
    Outcome outcome = Outcome::kDone;
    size_t bytes = 0;  // > 0 with kDone
  };

  // `tls` is null for plain origins. `verify`: the host name too.
  Transport(boost::asio::io_context& context, Origin origin, std::shared_ptr<boost::asio::ssl::context> tls,
            bool verify);

  // Resolves, connects and shakes hands; then calls back once, never from inside connect(). No timeout of its own.
  void connect(std::function<void(base::Status)> done);
  Step read(char* out, size_t size);
  Step write(std::string_view first, std::string_view second);  // as much as goes; one gather write on plain sockets
  void wait_readable(std::function<void()> ready) { wait(boost::asio::socket_base::wait_read, std::move(ready)); }
  void wait_writable(std::function<void()> ready) { wait(boost::asio::socket_base::wait_write, std::move(ready)); }
  void close();

  bool open() const { return !closed_; }
  bool tls() const { return tls_ != nullptr; }
  std::string_view alpn() const;                           // "h2", "http/1.1" or empty
  const std::string& failure() const { return failure_; }  // the reason of the last kFailed
  const Origin& origin() const { return origin_; }
  std::string name() const;  // host:port, for messages

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  void wait(boost::asio::socket_base::wait_type what, std::function<void()> ready);
  void connect_socket(const boost::asio::ip::tcp::resolver::results_type& endpoints);
  void connected();
  base::Status start_tls();
  void shake_hands();
  void finish_connect(base::Status status);
  Step tls_step(int result);
  base::Error tls_error() const;

  boost::asio::ip::tcp::resolver resolver_;
  boost::asio::ip::tcp::socket socket_;
  Origin origin_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
  bool verify_;
  bool closed_ = false;
  int native_handle_ = -1;  // for OpenSSL's reads and writes
  std::unique_ptr<SSL, FreeSsl> ssl_;
  std::function<void(base::Status)> connect_done_;
  std::string failure_;
};

}  // namespace payonce::net
