#include "dashboard/guard.h"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <utility>

#include "base/hash.h"

namespace payonce::dashboard {
namespace {

constexpr size_t kSessionTokenBytes = 32;

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned char difference = 0;
  for (size_t i = 0; i < a.size(); ++i) difference = static_cast<unsigned char>(difference | (a[i] ^ b[i]));
  return difference == 0;
}

// The host of "host:port", "[::1]:port", "host".
std::string_view host_of(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

// Names that no public DNS gives, so no page of elsewhere has one: of one label alone, and RFC 6761 6.3's; .internal
// is reserved by ICANN. An address as a host was not looked up at all.
bool is_reserved(std::string_view host) {
  if (host.starts_with('[')) return host.ends_with(']');
  if (host.find('.') == std::string_view::npos) return !host.empty();
  boost::system::error_code error;
  boost::asio::ip::make_address_v4(std::string(host), error);
  if (!error) return true;
  for (const std::string_view ending : {".localhost", ".internal"})
    if (host.size() > ending.size() && net::equals_ignoring_case(host.substr(host.size() - ending.size()), ending))
      return true;
  return false;
}

bool came_by_proxy(const net::RequestHead& head) {
  for (const std::string_view field : {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"})
    if (head.headers.get(field)) return true;
  return false;
}

bool is_own_origin(std::string_view origin, std::string_view authority) {
  for (const std::string_view scheme : {"http://", "https://"})
    if (origin.starts_with(scheme) && net::equals_ignoring_case(origin.substr(scheme.size()), authority)) return true;
  return false;
}

}  // namespace

bool is_loopback(std::string_view host) {
  if (net::equals_ignoring_case(host, "localhost")) return true;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(std::string(host), error);
  if (error) return false;
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, address.to_v6()).is_loopback();
  return address.is_loopback();
}

bool is_cross_site(const net::RequestHead& head) {
  const auto site = head.headers.get("sec-fetch-site");
  if (site && *site != "same-origin" && *site != "none") return true;
  const auto origin = head.headers.get("origin");
  return origin && !is_own_origin(*origin, head.authority);
}

Guard::Guard(Options options)
    : options_(std::move(options)), session_token_("local-" + base::random_hex(kSessionTokenBytes)) {}

Guard::Bearer Guard::judge(std::string_view credential, std::string_view remote_address, int64_t now_ms) {
  if (credential.empty()) return Bearer::kNotAdmin;
  if (!attempts_.may_try(remote_address, credential, now_ms)) return Bearer::kTooManyTries;
  const bool by_token = !options_.admin_token.empty() && equal_in_constant_time(credential, options_.admin_token);
  const bool by_session = options_.local_sessions && equal_in_constant_time(credential, session_token_);
  if (!by_token && !by_session) return Bearer::kNotAdmin;
  attempts_.was_right(remote_address, credential);
  return Bearer::kAdmin;
}

bool Guard::is_own(std::string_view host) const {
  const auto equals = [&](const std::string& name) { return net::equals_ignoring_case(name, host); };
  return is_loopback(host) || is_reserved(host) || std::ranges::any_of(options_.hosts, equals);
}

// Browsers always name a host.
bool Guard::may_be_rebound(const net::RequestHead& head) const {
  return options_.on_loopback && !head.authority.empty() && !is_own(host_of(head.authority));
}

bool Guard::is_foreign_page(const net::RequestHead& head) const {
  if (!options_.on_loopback) return false;
  if (may_be_rebound(head)) return true;
  const auto origin = head.headers.get("origin");
  if (!origin) return false;
  // Other schemes are those of programs (chrome-extension:, vscode-webview:, tauri:), which no page can claim.
  for (const std::string_view scheme : {"http://", "https://"})
    if (origin->starts_with(scheme)) return !is_own(host_of(origin->substr(scheme.size())));
  return *origin == "null";
}

bool Guard::is_local(const net::RequestHead& head, std::string_view remote_address) const {
  return options_.on_loopback && is_loopback(remote_address) && !came_by_proxy(head) && !may_be_rebound(head);
}

base::Result<std::string> Guard::local_session(const net::RequestHead& head, std::string_view remote_address) const {
  const auto refuse = [](std::string_view why) {
    return base::fail(base::Code::kUnauthorized, std::string(why) + ": log in with the admin token");
  };
  if (!options_.local_sessions) return refuse("this instance opens no page without a token");
  if (!is_loopback(remote_address)) return refuse("you are not on the instance's own machine");
  if (came_by_proxy(head)) return refuse("the request came through a proxy");
  if (!is_loopback(host_of(head.authority))) return refuse("the page was opened by a name of another machine");
  const auto origin = head.headers.get("origin");
  if (!origin || is_cross_site(head)) return refuse("the request does not come from this instance's page");
  return session_token_;
}

}  // namespace payonce::dashboard
