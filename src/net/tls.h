// TLS contexts on OpenSSL 3. TLS 1.2 and newer; ALPN "h2", "http/1.1".  Threads: create once, then share read-only.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "base/result.h"

namespace boost::asio::ssl {
class context;
}

namespace payonce::net {

inline constexpr size_t kMaxTlsRecordBytes = 16 * 1024;  // RFC 8446 5.1

struct ServerTls {
  std::string certificate_file;  // PEM chain; empty: no TLS
  std::string key_file;          // PEM
  bool http2 = true;
};
struct ClientTls {
  std::string ca_file;  // PEM; empty: the system's
  bool verify = true;   // certificate chain and host name
  bool http2 = true;
};

base::Result<std::shared_ptr<boost::asio::ssl::context>> make_server_tls(const ServerTls& options);
base::Result<std::shared_ptr<boost::asio::ssl::context>> make_client_tls(const ClientTls& options);

}  // namespace payonce::net
