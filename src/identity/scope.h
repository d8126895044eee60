// Who may share what. A scope id names a set of requests that may see each other's answers; it is part of every key.
// Default: the caller's credential. X-Payonce-Scope narrows; only a configured virtual key can own wider parts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/hash.h"
#include "base/result.h"
#include "net/headers.h"

namespace payonce::identity {

// The credential that a request carries (Authorization: Bearer, x-api-key, api-key), raw. Empty: none.
std::string credential_of(const net::Headers& headers);

// A configured key: stored as HMAC-SHA-256(salt, key); never in the clear.
struct VirtualKey {
  std::string name;                 // shown in logs and the ledger
  base::Digest digest{};
  std::vector<std::string> scopes;  // parts it owns, wider than itself: "team:search", "public"; "user:*" any user part
  std::string upstream_key_env;     // unused when empty
};

struct Caller {
  std::string scope_id;   // printable: "u-<16 hex>" …; stable across restarts of one data directory (salted)
  std::string name;       // virtual key's name or "u-…": for ledger and logs, never the credential
  bool virtual_key = false;
  std::vector<std::string> parts;  // the narrowing or owned parts in canonical order, as given
};

class Callers {
 public:
  struct Options {
    std::string salt;               // 32 bytes, kept in the data directory
    std::vector<VirtualKey> keys;   // empty: every credential passes through and is its own scope
  };
  explicit Callers(Options options);
  // kUnauthorized when keys are configured and the credential is none of them; kInvalid for a malformed X-Payonce-Scope.
  base::Result<Caller> identify(const net::Headers& headers) const;
  base::Digest digest(std::string_view credential) const;

 private:
  Options options_;
};

}  // namespace payonce::identity
