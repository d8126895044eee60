#include "dashboard/guard.h"

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

bool Guard::may_be_rebound(const net::RequestHead& head) const {
  return options_.local_sessions && !is_loopback(host_of(head.authority));
}

base::Result<std::string> Guard::local_session(const net::RequestHead& head, std::string_view remote_address) const {
  const auto refuse = [](std::string_view why) {
    return base::fail(base::Code::kUnauthorized, std::string(why) + ": log in with the admin token");
  };
  if (!options_.local_sessions) return refuse("this instance opens no page without a token");
  if (!is_loopback(remote_address)) return refuse("you are not on the instance's own machine");
  for (const std::string_view field : {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via"})
    if (head.headers.get(field)) return refuse("the request came through a proxy");
  if (may_be_rebound(head)) return refuse("the page was opened by a name of another machine");
  const auto origin = head.headers.get("origin");
  if (!origin || is_cross_site(head)) return refuse("the request does not come from this instance's page");
  return session_token_;
}

}  // namespace payonce::dashboard
