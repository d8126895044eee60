#include "gateway/answer_headers.h"

#include <fmt/format.h>

#include <iterator>

namespace payonce::gateway {
namespace {

using Buffer = fmt::basic_memory_buffer<char, 160>;

std::string_view view(const Buffer& buffer) { return {buffer.data(), buffer.size()}; }

void append_phase(Buffer& out, std::string_view name, int64_t us) {
  if (us < 0) return;
  // Microseconds as decimal milliseconds, without floating point: this is on the hit path.
  fmt::format_to(std::back_inserter(out), FMT_STRING("{}{};dur={}.{:03}"), out.size() == 0 ? "" : ", ", name,
                 us / 1000, us % 1000);
}

void add_timing(net::Headers& headers, const Timing& timing) {
  Buffer out;
  append_phase(out, "parse", timing.parse_us);
  append_phase(out, "lookup", timing.lookup_us);
  append_phase(out, "upstream", timing.upstream_us);
  if (out.size() != 0) headers.add("Server-Timing", view(out));
}

}  // namespace

void add_hit_headers(net::Headers& headers, const pipeline::Answer& answer, const Timing& timing) {
  Buffer out;
  fmt::format_to(std::back_inserter(out), FMT_STRING("payonce; hit; ttl={}; detail={}"), answer.ttl_s, answer.layer);
  headers.add("Cache-Status", view(out));
  out.clear();
  fmt::format_to(std::back_inserter(out), FMT_STRING("{}"), answer.age_s);
  headers.add("Age", view(out));
  out.clear();
  const llm::Usage& usage = answer.entry->usage;
  fmt::format_to(std::back_inserter(out), FMT_STRING("input={},output={},usd={:.6f}"), usage.input(), usage.output,
                 answer.entry->cost_usd);
  headers.add("X-Payonce-Saved", view(out));
  add_timing(headers, timing);
}

void add_miss_headers(net::Headers& headers, const MissStatus& status, const Timing& timing) {
  Buffer out;
  fmt::format_to(std::back_inserter(out), FMT_STRING("payonce; fwd={}"), pipeline::forwarded_name(status.why));
  if (status.upstream_status != 0 && status.upstream_status != 200)
    fmt::format_to(std::back_inserter(out), FMT_STRING("; fwd-status={}"), status.upstream_status);
  if (status.stored) fmt::format_to(std::back_inserter(out), FMT_STRING("; stored"));
  if (status.collapsed) fmt::format_to(std::back_inserter(out), FMT_STRING("; collapsed"));
  headers.add("Cache-Status", view(out));
  add_timing(headers, timing);
}

}  // namespace payonce::gateway
