#include "payonce/address.h"

#include <fmt/format.h>

#include <charconv>

namespace payonce {

base::Result<Address> parse_listen(const std::string& text) {
  const size_t colon = text.rfind(':');
  Address out;
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size())
    return base::fail(base::Code::kInvalid,
                      fmt::format("listen: expected ADDRESS:PORT as in 127.0.0.1:4141, found '{}'", text));
  out.host = colon == 0 ? "0.0.0.0" : text.substr(0, colon);
  return out;
}

std::string url_of(const config::Settings& settings, uint16_t port) {
  const bool tls = !settings.tls_certificate_file.empty();
  std::string host = settings.listen.substr(0, settings.listen.rfind(':'));
  if (host.empty() || host == "0.0.0.0" || host == "[::]") host = "127.0.0.1";
  return fmt::format("{}://{}:{}", tls ? "https" : "http", host, port);
}

}  // namespace payonce
