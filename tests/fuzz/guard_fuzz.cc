// Heads that ask for a local session: it is given to a page of a loopback host alone, and a token is taken only
// whole.
#include <string>

#include "dashboard/guard.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  // The lines of the input: Host, Origin, Sec-Fetch-Site, the peer's address, a credential.
  std::string_view rest = fuzz::text(data, size);
  const auto line = [&] {
    const size_t end = rest.find('\n');
    const std::string_view taken = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return taken;
  };
  net::RequestHead head{.method = "POST", .target = "/payonce/v1/session", .authority = std::string(line())};
  head.headers.add("Origin", line());
  head.headers.add("Sec-Fetch-Site", line());
  const std::string address(line()), credential(line());
  static dashboard::Guard guard({.admin_token = "secret", .local_sessions = true});
  const auto session = guard.local_session(head, address);
  if (session) {
    const std::string& host = head.authority;
    PAYONCE_FUZZ_CHECK(host.starts_with("127.") || host.starts_with('[') || (host[0] | 0x20) == 'l');
    PAYONCE_FUZZ_CHECK(host.find('@') == std::string::npos && host.find('/') == std::string::npos);
    PAYONCE_FUZZ_CHECK(dashboard::is_loopback(address));
    PAYONCE_FUZZ_CHECK(!dashboard::is_cross_site(head));
  }
  const bool admin = guard.judge(credential, address, 0) == dashboard::Guard::Bearer::kAdmin;
  PAYONCE_FUZZ_CHECK(!admin || credential == "secret" || (session && credential == *session));
  return 0;
}
