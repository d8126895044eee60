// The key of every cached thing: kind:version:scope:hash, printable. SHA-256 over the canonical form.
#pragma once

#include <string>

#include "base/hash.h"

namespace payonce::identity {

struct CacheKey {
  std::string kind;     // "resp"
  std::string version;  // "v1": format of the canonical form
  std::string scope;    // Scope::id
  base::Digest hash{};
  std::string text() const { return kind + ":" + version + ":" + scope + ":" + base::hex(hash); }
};

}  // namespace payonce::identity
