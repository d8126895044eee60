// A recorded answer, and what can be read from it: is it complete, what did it cost, and how does it look in the
// other framing. Pure functions.  Threads: any.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "llm/dialect.h"

namespace payonce::llm {

enum class Form : uint8_t { kJson, kStream };  // one JSON document | text/event-stream

// Tokens as billed for the original; the four input classes of design §5.
struct Usage {
  int64_t fresh = 0;        // uncached input
  int64_t read = 0;         // read from a provider's prompt cache
  int64_t write_short = 0;  // written, 5 min class
  int64_t write_long = 0;   // written, 1 h class
  int64_t output = 0;
  bool known = false;       // the answer carried usage
  bool read_known = false;  // and said how much was read, if only 0
  int64_t input() const { return fresh + read + write_short + write_long; }
};

struct Analysis {
  bool complete = false;  // the answer ended as its dialect says a whole, successful answer ends
  std::string reason;     // why it is not complete: "no [DONE]", "error event", "truncated JSON", …
  Usage usage;
  std::string model;          // as the answer names it
  std::string finish_reason;  // as the answer spells it
  // The provider's own account of why it read less from its cache than it could have: "tools_changed", "unavailable",
  // … Empty: it was not asked, or had nothing to say. A word of at most kMaxMissReason_bytes.
  std::string cache_miss_reason;
};
inline constexpr size_t kMaxMissReason_bytes = 64;

// `body` is the entity after a 200 answer. Never throws; a body that cannot be read is incomplete.
Analysis analyse(Dialect dialect, Form form, std::string_view body);

// The same answer in the other framing. Ids, created, usage and tool-call ids stay as recorded.
// to_stream: events as the provider would send them; `include_usage` as the caller's stream_options asked.
base::Result<std::string> to_stream(Dialect dialect, std::string_view json, bool include_usage);
base::Result<std::string> to_json(Dialect dialect, std::string_view stream);
// A recorded stream for a caller with another include_usage: the usage-only chunk is dropped, or kept when there is
// one. Byte-equal to `stream` where nothing has to change.
std::string restream(Dialect dialect, std::string_view stream, bool include_usage);

// True when `chunk` ends with the event that ends a stream of this dialect. May miss one that arrives in pieces.
bool ends_stream(Dialect dialect, std::string_view chunk);

}  // namespace payonce::llm
