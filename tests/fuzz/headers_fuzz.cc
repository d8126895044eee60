// Headers and queries that the gateway reads itself: Cache-Control, X-Payonce-…, traceparent, ?name=value.
#include <algorithm>
#include <string>

#include "fuzz.h"
#include "gateway/query.h"
#include "pipeline/directives.h"
#include "record/trace.h"

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace payonce;
  std::string_view rest = fuzz::text(data, size);
  const auto line = [&] {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view taken = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return taken;
  };
  net::Headers headers;
  for (const std::string_view name :
       {"Cache-Control", "Cache-Control", "X-Payonce-TTL", "X-Payonce-Layers", "Content-Encoding", "Pragma"}) {
    const std::string_view value = line();
    if (!value.empty()) headers.add(name, value);
  }
  if (const auto asked = pipeline::parse_directives(headers)) {
    PAYONCE_FUZZ_CHECK(!asked->max_age_s || *asked->max_age_s >= 0);
    PAYONCE_FUZZ_CHECK(!asked->ttl_s || *asked->ttl_s >= 0);
  }
  const record::TraceContext trace = record::continue_trace(line());
  PAYONCE_FUZZ_CHECK(trace.trace_id.size() == 32 && trace.span_id.size() == 16);
  PAYONCE_FUZZ_CHECK(trace.header().find_first_not_of("0123456789abcdef-") == std::string::npos);
  const std::string_view name = line();
  if (const auto value = gateway::query_value(rest, name)) {
    PAYONCE_FUZZ_CHECK(value->size() <= rest.size());
    if (const auto number = gateway::whole_number(*value)) PAYONCE_FUZZ_CHECK(*number >= 0);
  }
  return 0;
}
