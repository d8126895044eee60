// Who may share what. A scope id names a set of requests that may see each other's answers; it is part of every key.
// Default: the caller's credential. X-Payonce-Scope narrows; only a configured virtual key can own wider parts.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "net/headers.h"

namespace payonce::identity {

// The credential that a request carries: Authorization, x-api-key, api-key, x-goog-api-key, and fields whose names
// say that they tell who asks (x-auth-token), raw; several are joined. Cookies, where there is nothing else. Empty:
// none.
std::string credential_of(const net::Headers& headers);
bool may_be_credential(std::string_view header_name);
// The query names what may be a credential (?key=…): whose the request is cannot be told then.
bool may_hold_credential(std::string_view target);

// A configured key: its SHA-256 only, never itself (keys are random, so a plain hash does not help to guess them).
struct VirtualKey {
  std::string name;  // shown in logs and the ledger
  base::Digest digest{};
  std::vector<std::string> scopes;  // parts it owns, wider than itself: "team:search", "public", "user:*"
};

struct Caller {
  std::string
      scope_id;  // printable: "u-<32 hex>" a credential's own, "s-…" shared, "anon"; stable in one data directory
  std::string credential_id;  // the credential's own id, whatever the scope: "u-…" or "anon"
  std::string scope_names;    // the parts of X-Payonce-Scope that count: "session:7,user:ann", sorted
  bool is_shared() const { return scope_id.starts_with("s-"); }  // by several credentials
  std::string name;  // virtual key's name or the credential's "u-…": for ledger and logs, never the credential
};

class Callers {
 public:
  struct Options {
    std::string salt;              // 32 bytes, kept in the data directory
    std::vector<VirtualKey> keys;  // empty: every credential passes through and is its own scope
  };
  Callers() = default;
  explicit Callers(Options options) : options_(std::move(options)) {}
  // kUnauthorized when keys are configured and the credential is none of them; kInvalid for a malformed
  // X-Payonce-Scope.
  base::Result<Caller> identify(const net::Headers& headers) const;
  bool has_keys() const { return !options_.keys.empty(); }

 private:
  const VirtualKey* key_of(const net::Headers& headers) const;
  std::string id(std::string_view prefix, const std::vector<std::string_view>& parts) const;

  Options options_;
};

}  // namespace payonce::identity
