// Who is the admin, for the dashboard and for the rest of /payonce/v1/….
//
// Everything but one thing goes by the Authorization header: the admin token, or the session token that POST
// /payonce/v1/session hands to a page on this machine. A browser sends neither by itself, so no other site can use
// them (no cookies: those of one host are sent to every port of it). The one thing is local_session(), which asks for
// no secret and is therefore strict about who asks.
// Threads: all any.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dashboard/attempts.h"
#include "net/message.h"

namespace payonce::dashboard {

class Guard {
 public:
  struct Options {
    std::string admin_token;         // empty: nobody is admin
    bool on_loopback = false;        // the instance listens there alone
    bool local_sessions = false;     // and pages of this machine need no token; only if on_loopback
    std::vector<std::string> hosts;  // names of its own, beside those of loopback
  };
  explicit Guard(Options options);

  enum class Bearer : uint8_t { kNotAdmin, kAdmin, kTooManyTries };
  // `credential`: identity::credential_of(); empty: none came. Compares in constant time.
  Bearer judge(std::string_view credential, std::string_view remote_address, int64_t now_ms);

  // A bearer token of an admin for a page of this machine, valid as long as the process; or why not. REQUIRES of the
  // request, against pages of other sites (Origin, Sec-Fetch-Site), names that another made resolve to this machine
  // (Host), and proxies of this machine (forwarding fields): all of what is checked here.
  base::Result<std::string> local_session(const net::RequestHead& head, std::string_view remote_address) const;

  // An instance on loopback that is asked by a name which is none of its own: what carries no credential may then be
  // from a page of another site that made its name resolve to this machine.
  bool may_be_rebound(const net::RequestHead& head) const;

  // The same for the data plane: a page of another site asks, under its own name or ours. Without a credential it
  // would be anybody here: read what callers without one share, and spend what the upstreams cost.
  bool is_foreign_page(const net::RequestHead& head) const;

  // The asker sits on this machine, as far as can be told: no proxy speaks for him, no name was made to lead here.
  bool is_local(const net::RequestHead& head, std::string_view remote_address) const;

 private:
  bool is_own(std::string_view host) const;  // a name, or an address, of this instance
  const Options options_;
  const std::string session_token_;
  Attempts attempts_;
};

// What changes something without a credential may not come from a page of another site. Other clients than browsers
// send neither Origin nor Sec-Fetch-Site.
bool is_cross_site(const net::RequestHead& head);

bool is_loopback(std::string_view host);  // "127.0.0.1", "::1", "[::1]", "localhost"

}  // namespace payonce::dashboard
