#include "net/server_transport.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <boost/asio/ssl/context.hpp>
#include <cerrno>
#include <cstring>

#include "net/tls.h"

namespace payonce::net {
namespace {

using boost::system::error_code;

class PlainTransport final : public ServerTransport {
 public:
  using ServerTransport::ServerTransport;

  Io read(char* to, size_t size) override {
    const ssize_t got = ::recv(descriptor(), to, size, MSG_DONTWAIT);
    if (got > 0) return {IoState::kDone, static_cast<size_t>(got)};
    if (got == 0) return {IoState::kEnd};
    return {would_block() ? IoState::kWantRead : IoState::kFailed};
  }

  Io write(std::span<const iovec> pieces) override {
    if (pieces.size() == 1) {  // a small answer: send() is cheaper
      const ssize_t put = ::send(descriptor(), pieces[0].iov_base, pieces[0].iov_len, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (put >= 0) return {IoState::kDone, static_cast<size_t>(put)};
      return {would_block() ? IoState::kWantWrite : IoState::kFailed};
    }
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());  // sendmsg does not write to it
    message.msg_iovlen = pieces.size();
    const ssize_t put = ::sendmsg(descriptor(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (put >= 0) return {IoState::kDone, static_cast<size_t>(put)};
    return {would_block() ? IoState::kWantWrite : IoState::kFailed};
  }

 private:
  static bool would_block() { return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR; }
};

// OpenSSL on the descriptor itself: an idle connection holds no record buffers (SSL_MODE_RELEASE_BUFFERS), and no
// byte is copied through a BIO. SIGPIPE is ignored by Boost.Asio's io_context.
class TlsTransport final : public ServerTransport {
 public:
  TlsTransport(Socket socket, SSL_CTX* context)
      : ServerTransport(std::move(socket)), ssl_(SSL_new(context), SSL_free) {
    if (!ssl_) return;
    SSL_set_fd(ssl_.get(), descriptor());
    SSL_set_accept_state(ssl_.get());
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  }

  Io handshake() override {
    if (!ssl_) return {IoState::kFailed};
    ERR_clear_error();
    return outcome(SSL_do_handshake(ssl_.get()), 0);
  }

  Io read(char* to, size_t size) override {
    ERR_clear_error();
    size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), to, size, &got);
    return outcome(result, got);
  }

  // Small pieces are joined: a record each would cost more than the copy.
  Io write(std::span<const iovec> pieces) override {
    std::array<char, kMaxTlsRecordBytes> record;
    std::string_view data(static_cast<const char*>(pieces[0].iov_base), pieces[0].iov_len);
    if (pieces.size() > 1 && data.size() < record.size()) {
      size_t size = 0;
      for (const iovec& piece : pieces) {
        const size_t part = std::min(piece.iov_len, record.size() - size);
        std::memcpy(record.data() + size, piece.iov_base, part);
        size += part;
        if (size == record.size()) break;
      }
      data = std::string_view(record.data(), size);
    }
    ERR_clear_error();
    size_t put = 0;
    const int result = SSL_write_ex(ssl_.get(), data.data(), std::min(data.size(), record.size()), &put);
    return outcome(result, put);
  }

  bool has_buffered() const override { return SSL_pending(ssl_.get()) > 0; }

  bool chose_http2() const override {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return size == 2 && std::memcmp(name, "h2", 2) == 0;
  }

  void shutdown_write() override {
    // close_notify, so that the client can tell an end from a cut. Best effort: nobody waits for the answer.
    if (ssl_ && SSL_is_init_finished(ssl_.get())) {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
    }
    ServerTransport::shutdown_write();
  }

 private:
  Io outcome(int result, size_t bytes) {
    if (result == 1) return {IoState::kDone, bytes};
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ: return {IoState::kWantRead};
      case SSL_ERROR_WANT_WRITE: return {IoState::kWantWrite};
      case SSL_ERROR_ZERO_RETURN: return {IoState::kEnd};
      default: return {IoState::kFailed};
    }
  }

  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

}  // namespace

ServerTransport::ServerTransport(Socket socket) : socket_(std::move(socket)) {
  error_code error;
  // Answers are written whole, or as events that should not wait for the next one.
  socket_.set_option(boost::asio::ip::tcp::no_delay(true), error);
  socket_.native_non_blocking(true, error);
  const auto remote = socket_.remote_endpoint(error);
  if (!error) remote_address_ = remote.address().to_string();
}

void ServerTransport::shutdown_write() {
  error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void ServerTransport::close() {
  error_code ignored;
  socket_.close(ignored);
}

void ServerTransport::reset() {
  error_code ignored;
  socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
  socket_.close(ignored);
}

std::unique_ptr<ServerTransport> make_plain_transport(ServerTransport::Socket socket) {
  return std::make_unique<PlainTransport>(std::move(socket));
}

std::unique_ptr<ServerTransport> make_tls_transport(ServerTransport::Socket socket,
                                                    boost::asio::ssl::context& context) {
  return std::make_unique<TlsTransport>(std::move(socket), context.native_handle());
}

}  // namespace payonce::net
