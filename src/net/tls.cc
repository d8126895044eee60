#include "net/tls.h"

#include <fmt/format.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <boost/asio/ssl/context.hpp>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <system_error>

#include "base/bytes.h"

namespace payonce::net {
namespace {

namespace ssl = boost::asio::ssl;

constexpr std::string_view kAlpnBoth("\x02h2\x08http/1.1", 12);
constexpr std::string_view kAlpnHttp1("\x08http/1.1", 9);

// Our order of preference, cut to what the client offers; a client without ALPN gets HTTP/1.1.
int select_alpn(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                unsigned offered_size, void* http2) {
  const std::string_view ours = http2 != nullptr ? kAlpnBoth : kAlpnHttp1;
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, base::unsigned_bytes(ours), static_cast<unsigned>(ours.size()),
                            offered, offered_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

base::Status use_files(ssl::context& context, const ServerTls& options) {
  boost::system::error_code error;
  context.use_certificate_chain_file(options.certificate_file, error);
  if (error)
    return base::fail(base::Code::kInvalid, fmt::format("TLS certificate {}: {}; expected a PEM chain",
                                                        options.certificate_file, error.message()));
  context.use_private_key_file(options.key_file, ssl::context::pem, error);
  if (error)
    return base::fail(base::Code::kInvalid, fmt::format("TLS key {}: {}; expected the PEM key of the certificate",
                                                        options.key_file, error.message()));
  return {};
}

std::shared_ptr<ssl::context> new_context(ssl::context::method method) {
  auto context = std::make_shared<ssl::context>(method);
  context->set_options(ssl::context::default_workarounds | ssl::context::no_compression);
  SSL_CTX_set_min_proto_version(context->native_handle(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context->native_handle(), SSL_MODE_RELEASE_BUFFERS);  // idle connections hold no 16 KiB records
  return context;
}

// OpenSSL's default is a place of the distribution that it was built for. Where a package carries it to another one,
// the authorities lie elsewhere: Debian and Arch, Fedora, SUSE, Alpine.
constexpr std::array kAuthorities = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                     "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};

void trust_the_system(ssl::context& context) {
  boost::system::error_code ignored;  // without authorities every upstream is refused, and that is said then
  context.set_default_verify_paths(ignored);
  const auto is_there = [](const char* path) {
    std::error_code unknown;
    return std::filesystem::exists(path, unknown);
  };
  if (std::getenv(X509_get_default_cert_file_env()) || std::getenv(X509_get_default_cert_dir_env()) ||
      is_there(X509_get_default_cert_file()) || is_there(X509_get_default_cert_dir()))
    return;
  const auto* const found = std::ranges::find_if(kAuthorities, is_there);
  if (found != kAuthorities.end()) context.load_verify_file(*found, ignored);
}

}  // namespace

base::Result<std::shared_ptr<ssl::context>> make_server_tls(const ServerTls& options) {
  auto context = new_context(ssl::context::tls_server);
  PAYONCE_CHECK_OK(use_files(*context, options));
  // The argument is only a flag: any address that is not null.
  SSL_CTX_set_alpn_select_cb(context->native_handle(), select_alpn,
                             options.http2 ? context->native_handle() : nullptr);
  return context;
}

base::Result<std::shared_ptr<ssl::context>> make_client_tls(const ClientTls& options) {
  auto context = new_context(ssl::context::tls_client);
  if (!options.ca_file.empty()) {
    boost::system::error_code error;
    context->load_verify_file(options.ca_file, error);
    if (error)
      return base::fail(base::Code::kInvalid,
                        fmt::format("CA file {}: {}; expected PEM certificates", options.ca_file, error.message()));
  } else {
    trust_the_system(*context);
  }
  context->set_verify_mode(options.verify ? ssl::verify_peer : ssl::verify_none);
  const std::string_view alpn = options.http2 ? kAlpnBoth : kAlpnHttp1;
  SSL_CTX_set_alpn_protos(context->native_handle(), base::unsigned_bytes(alpn), static_cast<unsigned>(alpn.size()));
  return context;
}

}  // namespace payonce::net
