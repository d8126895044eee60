// Origin::parse: the base URL of an upstream, as in the configuration (RFC 3986 3, without user, query and fragment).
#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/ip/address_v6.hpp>
#include <charconv>

#include "base/ascii.h"
#include "net/client.h"
#include "net/headers.h"

namespace payonce::net {
namespace {

base::Status bad_url(std::string_view url, std::string_view why) {
  return base::fail(base::Code::kInvalid,
                    fmt::format("URL '{}': {}; expected http://host[:port][/prefix] or https://…", url, why));
}

bool is_host_character(char c) { return base::is_alphanumeric(c) || c == '-' || c == '.' || c == '_'; }

// Splits "host", "host:port", "[v6]" or "[v6]:port"; the host loses its brackets.
base::Status parse_authority(std::string_view url, std::string_view authority, Origin& origin) {
  std::string_view host = authority;
  std::string_view port;
  bool has_port = false;
  if (authority.starts_with('[')) {
    const size_t close = authority.find(']');
    if (close == std::string_view::npos) return bad_url(url, "'[' without ']'");
    host = authority.substr(1, close - 1);
    boost::system::error_code error;
    boost::asio::ip::make_address_v6(std::string(host), error);
    if (error) return bad_url(url, fmt::format("'{}' is no IPv6 address", host));
    port = authority.substr(close + 1);
    has_port = !port.empty();
    if (has_port && port.front() != ':') return bad_url(url, "only ':port' may follow ']'");
  } else {
    const size_t colon = authority.find(':');
    host = authority.substr(0, colon);
    has_port = colon != std::string_view::npos;
    if (has_port) port = authority.substr(colon);
    if (host.empty()) return bad_url(url, "the host is missing");
    if (!std::all_of(host.begin(), host.end(), is_host_character))
      return bad_url(url, fmt::format("'{}' is no host name", host));
  }
  origin.host = host;
  if (!has_port) return {};
  port.remove_prefix(1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), origin.port);
  if (error != std::errc{} || end != port.data() + port.size() || origin.port == 0)
    return bad_url(url, fmt::format("port '{}' is not in 1…65535", port));
  return {};
}

}  // namespace

base::Result<Origin> Origin::parse(std::string_view url, std::string* path_prefix) {
  Origin origin;
  const size_t scheme_end = url.find("://");
  const std::string_view scheme = scheme_end == std::string_view::npos ? "" : url.substr(0, scheme_end);
  origin.tls = equals_ignoring_case(scheme, "https");
  if (!origin.tls && !equals_ignoring_case(scheme, "http"))
    PAYONCE_CHECK_OK(bad_url(url, "the scheme is neither http nor https"));
  origin.port = origin.tls ? 443 : 80;

  const std::string_view rest = url.substr(scheme_end + 3);
  if (rest.find('?') != std::string_view::npos) PAYONCE_CHECK_OK(bad_url(url, "a query is not allowed"));
  if (rest.find('#') != std::string_view::npos) PAYONCE_CHECK_OK(bad_url(url, "a fragment is not allowed"));
  const std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.find('@') != std::string_view::npos)
    // The text leaves out the URL: it holds a secret.
    return base::fail(base::Code::kInvalid,
                      "URL with user or password before '@': give the credential as a key instead");
  PAYONCE_CHECK_OK(parse_authority(url, authority, origin));

  std::string_view path = rest.substr(authority.size());
  if (std::any_of(path.begin(), path.end(), [](char c) { return c <= ' ' || c == '\x7f'; }))
    PAYONCE_CHECK_OK(bad_url(url, "the path holds a space or a control character"));
  while (path.ends_with('/')) path.remove_suffix(1);
  if (path_prefix != nullptr) *path_prefix = path;
  return origin;
}

}  // namespace payonce::net
