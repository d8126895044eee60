// What a caller asks of the cache in one request's headers (contract, data plane).
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "net/headers.h"

namespace payonce::pipeline {

struct Directives {
  bool no_cache = false;  // RFC 9111 5.2.1.4: do not answer from the store; a fresh answer replaces the stored one
  bool no_store = false;  // 5.2.1.5: do not write
  bool only_if_cached = false;                        // 5.2.1.7: 504 rather than call an upstream
  std::optional<int64_t> max_age_s;                   // 5.2.1.1: accept no older answer
  std::optional<int64_t> ttl_s;                       // X-Payonce-TTL
  bool exact = true, semantic = true, prefix = true;  // X-Payonce-Layers names it (or is absent)
  bool encoded = false;                               // the body has a Content-Encoding
};

// kInvalid for a malformed X-Payonce-TTL or X-Payonce-Layers. Unknown Cache-Control directives are ignored, as RFC
// 9111 asks; a malformed max-age counts as 0 (the strict reading).
base::Result<Directives> parse_directives(const net::Headers& headers);

}  // namespace payonce::pipeline
