#include "net/client_transport.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

namespace payonce::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

// OpenSSL's own socket BIO writes without MSG_NOSIGNAL, so that a peer which left would end the process by SIGPIPE.
// The BIO's data is the address of the native handle; it lives in the Transport, as the SSL object does.
int socket_of(BIO* bio) { return *static_cast<const int*>(BIO_get_data(bio)); }

int bio_write(BIO* bio, const char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t written = ::send(socket_of(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL);
  if (written < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(written);
}

int bio_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(socket_of(bio), data, static_cast<size_t>(size), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  return static_cast<int>(got);
}

long bio_control(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

const BIO_METHOD* socket_bio_method() {
  static const BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "payonce socket");
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_control);
    return made;
  }();
  return method;
}

BIO* new_socket_bio(int* handle) {
  BIO* bio = BIO_new(socket_bio_method());
  BIO_set_data(bio, handle);
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace

Transport::Transport(asio::io_context& context, Origin origin, std::shared_ptr<asio::ssl::context> tls, bool verify)
    : resolver_(context), socket_(context), origin_(std::move(origin)), tls_(std::move(tls)), verify_(verify) {}

std::string Transport::name() const {
  const bool v6 = origin_.host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", origin_.host, origin_.port) : fmt::format("{}:{}", origin_.host, origin_.port);
}

void Transport::connect(std::function<void(base::Status)> done) {
  connect_done_ = std::move(done);
  boost::system::error_code error;
  if (const auto address = asio::ip::make_address(origin_.host, error); !error)  // needs no resolver, thus no thread
    return connect_socket(
        tcp::resolver::results_type::create(tcp::endpoint(address, origin_.port), origin_.host, ""));
  resolver_.async_resolve(
      origin_.host, std::to_string(origin_.port), tcp::resolver::numeric_service,
      [self = shared_from_this()](const boost::system::error_code& failed, const tcp::resolver::results_type& found) {
        if (self->closed_) return;
        if (!failed) return self->connect_socket(found);
        self->finish_connect(
            base::fail(base::Code::kUnavailable,
                       fmt::format("resolve {}: {}; is the host name right?", self->origin_.host, failed.message())));
      });
}

void Transport::connect_socket(const tcp::resolver::results_type& endpoints) {
  asio::async_connect(
      socket_, endpoints, [self = shared_from_this()](const boost::system::error_code& failed, const tcp::endpoint&) {
        if (self->closed_) return;
        if (!failed) return self->connected();
        self->finish_connect(base::fail(
            base::Code::kUnavailable,
            fmt::format("connect to {}: {}; is it running, and its address right?", self->name(), failed.message())));
      });
}

void Transport::connected() {
  boost::system::error_code
      ignored;  // An option that cannot be set costs speed only; a dead socket shows itself later.
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  socket_.non_blocking(true, ignored);
  if (tls_ == nullptr) return finish_connect({});
  if (base::Status started = start_tls(); !started) return finish_connect(std::move(started));
  shake_hands();
}

base::Status Transport::start_tls() {
  ERR_clear_error();
  ssl_.reset(SSL_new(tls_->native_handle()));
  if (ssl_ == nullptr) return base::fail(tls_error());
  SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Halves the system calls. Safe with waits for readability, as those start only when a read wants more input.
  SSL_set_read_ahead(ssl_.get(), 1);
  native_handle_ = socket_.native_handle();
  BIO* bio = new_socket_bio(&native_handle_);
  SSL_set_bio(ssl_.get(), bio, bio);
  boost::system::error_code no_address;
  asio::ip::make_address(origin_.host, no_address);
  // RFC 6066 3: no address in SNI.
  if (no_address &&
      SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, origin_.host.data()) != 1)
    return base::fail(tls_error());
  if (!verify_) return {};
  SSL_set_hostflags(ssl_.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  const int set = no_address ? SSL_set1_host(ssl_.get(), origin_.host.c_str())
                             : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), origin_.host.c_str());
  if (set != 1) return base::fail(tls_error());
  return {};
}

void Transport::shake_hands() {
  ERR_clear_error();
  const int result = SSL_connect(ssl_.get());
  if (result == 1) return finish_connect({});
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return wait_readable([this] { shake_hands(); });
    case SSL_ERROR_WANT_WRITE: return wait_writable([this] { shake_hands(); });
    default: return finish_connect(base::fail(tls_error()));
  }
}

base::Error Transport::tls_error() const {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  std::string text = reason != nullptr ? reason : "the upstream closed the connection";
  std::string_view hint = "does the upstream speak TLS on this port?";
  if (const long verified = ssl_ ? SSL_get_verify_result(ssl_.get()) : X509_V_OK; verify_ && verified != X509_V_OK) {
    text += fmt::format(" ({})", X509_verify_cert_error_string(verified));
    hint = verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH
               ? "use the name that the certificate is for"
               : "set `ca_file` to the PEM of the authority that signed the certificate";
  }
  return {base::Code::kUnavailable, fmt::format("TLS with {}: {}; {}", name(), text, hint)};
}

void Transport::finish_connect(base::Status status) {
  // Moved out first: the callback may close, or own, this transport.
  const auto done = std::exchange(connect_done_, nullptr);
  done(std::move(status));
}

Transport::Step Transport::tls_step(int result) {
  if (result > 0) return {Outcome::kDone, static_cast<size_t>(result)};
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return {Outcome::kWantRead};
    case SSL_ERROR_WANT_WRITE: return {Outcome::kWantWrite};
    case SSL_ERROR_ZERO_RETURN: return {Outcome::kClosed};
    default:  // An EOF without close_notify comes here too: the body may have been cut by an attacker.
      failure_ = tls_error().message;
      return {Outcome::kFailed};
  }
}

Transport::Step Transport::read(char* out, size_t size) {
  if (ssl_ != nullptr) {
    ERR_clear_error();
    return tls_step(SSL_read(ssl_.get(), out, static_cast<int>(size)));
  }
  boost::system::error_code error;
  const size_t got = socket_.read_some(asio::buffer(out, size), error);
  if (!error) return {Outcome::kDone, got};
  if (error == asio::error::would_block || error == asio::error::try_again) return {Outcome::kWantRead};
  if (error == asio::error::eof) return {Outcome::kClosed};
  failure_ = fmt::format("read from {}: {}", name(), error.message());
  return {Outcome::kFailed};
}

Transport::Step Transport::write(std::string_view first, std::string_view second) {
  if (ssl_ != nullptr) {
    const std::string_view part = first.empty() ? second : first;
    ERR_clear_error();
    return tls_step(SSL_write(ssl_.get(), part.data(), static_cast<int>(part.size())));
  }
  const std::array<asio::const_buffer, 2> parts = {asio::buffer(first), asio::buffer(second)};
  boost::system::error_code error;
  const size_t written = socket_.write_some(parts, error);
  if (!error) return {Outcome::kDone, written};
  if (error == asio::error::would_block || error == asio::error::try_again) return {Outcome::kWantWrite};
  failure_ = fmt::format("write to {}: {}", name(), error.message());
  return {Outcome::kFailed};
}

void Transport::wait(asio::socket_base::wait_type what, std::function<void()> ready) {
  // An error of the wait is not told: the read or write that follows meets it, and says more.
  socket_.async_wait(what, [self = shared_from_this(), ready = std::move(ready)](const boost::system::error_code&) {
    if (!self->closed_) ready();
  });
}

void Transport::close() {
  if (closed_) return;
  closed_ = true;
  connect_done_ = nullptr;
  if (ssl_ != nullptr && SSL_is_init_finished(ssl_.get()) != 0) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // says close_notify if it fits; nobody waits for the peer's
  }
  boost::system::error_code ignored;
  resolver_.cancel();
  socket_.close(ignored);
}

std::string_view Transport::alpn() const {
  if (ssl_ == nullptr) return {};
  const unsigned char* chosen = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_.get(), &chosen, &size);
  return {reinterpret_cast<const char*>(chosen), size};
}

}  // namespace payonce::net
