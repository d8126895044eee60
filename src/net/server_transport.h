// A connected socket of the server, plain or TLS, read and written without blocking: try, and when it would block,
// wait for the socket to be ready. No read buffer and no pending read belong to a connection that is idle. Threads:
// one loop.
#pragma once

#include <sys/uio.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace boost::asio::ssl {
class context;
}

namespace payonce::net {

enum class IoState {
  kDone,
  kWantRead,   // wait until readable, then try again (of a write too: TLS may need to read first)
  kWantWrite,  // the same, writable
  kEnd,        // the peer has sent its last byte
  kFailed,     // the connection is lost
};
struct Io {
  IoState state = IoState::kDone;
  size_t bytes = 0;
};

class ServerTransport {
 public:
  // Of the loop itself: no type-erased executor on the way of each wait.
  using Socket = boost::asio::ip::tcp::socket::rebind_executor<boost::asio::io_context::executor_type>::other;

  explicit ServerTransport(Socket socket);
  virtual ~ServerTransport() = default;
  ServerTransport(const ServerTransport&) = delete;
  ServerTransport& operator=(const ServerTransport&) = delete;

  virtual Io handshake() { return {}; }
  virtual Io read(char* to, size_t size) = 0;
  // Writes what it can of the pieces, in one system call.
  virtual Io write(std::span<const iovec> pieces) = 0;
  // Bytes that the socket's readiness does not tell of: read before waiting.
  virtual bool has_buffered() const { return false; }
  virtual bool chose_http2() const { return false; }  // ALPN, after handshake()

  // `ready` is called later, on the loop, with no arguments; also after close().
  template <typename Ready>
  void wait_readable(Ready&& ready) {
    socket_.async_wait(Socket::wait_read, [ready = std::forward<Ready>(ready)](auto&&...) mutable { ready(); });
  }
  template <typename Ready>
  void wait_writable(Ready&& ready) {
    socket_.async_wait(Socket::wait_write, [ready = std::forward<Ready>(ready)](auto&&...) mutable { ready(); });
  }

  virtual void shutdown_write();  // the peer reads the end behind what was written
  void close();
  void reset();  // closes so that the peer sees an error, not an end
  const std::string& remote_address() const { return remote_address_; }  // without port; empty when unknown

 protected:
  int descriptor() { return socket_.native_handle(); }

 private:
  Socket socket_;
  std::string remote_address_;
};

std::unique_ptr<ServerTransport> make_plain_transport(ServerTransport::Socket socket);
std::unique_ptr<ServerTransport> make_tls_transport(ServerTransport::Socket socket,
                                                    boost::asio::ssl::context& context);

}  // namespace payonce::net
