// The header fields that tell a caller what the cache did: Cache-Status (RFC 9211), Age, X-Payonce-Saved,
// Server-Timing. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "net/headers.h"
#include "pipeline/decision.h"

namespace payonce::gateway {

// Where the time of one request went, microseconds on the monotonic clock; -1: did not happen.
struct Timing {
  int64_t parse_us = -1;     // identify: scope, canonical key
  int64_t lookup_us = -1;    // caches
  int64_t upstream_us = -1;  // first byte of the upstream's answer
};

// `id`: of the request's explanation; 0: none is kept.
void add_hit_headers(net::Headers& headers, const pipeline::Answer& answer, const Timing& timing, uint64_t id);

struct MissStatus {
  pipeline::Forwarded why = pipeline::Forwarded::kBypass;
  bool stored = false;
  bool collapsed = false;
  int upstream_status = 0;       // 0: none came
  std::string_view detail = {};  // static text, or empty
  int64_t prefix_tokens = -1;    // estimate of what the provider should read from its cache; -1: not known
  uint64_t id = 0;               // of the request's explanation; 0: none is kept
};
void add_miss_headers(net::Headers& headers, const MissStatus& status, const Timing& timing);

// Whether that is its one Content-Type, parameters aside.
bool has_type(const net::Headers& headers, std::string_view type);

// The paths of an upstream stand on the origin of the dashboard, where a page is given a session. What another sends
// there (a file that a caller uploaded, an error page) must be no page of ours: in a sandbox it has an origin of its
// own and runs nothing. JSON and event streams, which no browser takes for a page, stay as they came.
void keep_off_our_origin(net::Headers& headers);

}  // namespace payonce::gateway
