#include "gateway/answer_headers.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "net/field_list.h"

namespace payonce::gateway {
namespace {

// Lines of header fields, written once into a buffer on the stack: this is on the hit path.
class Lines {
 public:
  Lines& text(std::string_view part) {
    const size_t size = std::min(part.size(), sizeof buffer_ - size_);
    part.copy(buffer_ + size_, size);
    size_ += size;
    return *this;
  }
  Lines& number(int64_t value) {
    size_ = static_cast<size_t>(std::to_chars(buffer_ + size_, buffer_ + sizeof buffer_, value).ptr - buffer_);
    return *this;
  }
  // `value` / 10^digits with that many decimals.
  Lines& decimal(int64_t value, int digits) {
    int64_t unit = 1;
    for (int i = 0; i < digits; ++i) unit *= 10;
    number(value / unit).text(".");
    for (int64_t rest = value % unit, place = unit / 10; place > 0; place /= 10) number(rest / place % 10);
    return *this;
  }
  // The line with the id of a request's explanation.
  Lines& id(uint64_t value) {
    if (value == 0) return *this;
    text("X-Payonce-Id: r-");
    for (int shift = 60; shift >= 0; shift -= 4) text({&"0123456789abcdef"[value >> shift & 15], 1});
    return text("\r\n");
  }
  std::string_view view() const { return {buffer_, size_}; }

 private:
  char buffer_[640];
  size_t size_ = 0;
};

void add_timing(Lines& out, const Timing& timing) {
  bool first = true;
  for (const auto& [name, us] : {std::pair{std::string_view("parse"), timing.parse_us},
                                 {std::string_view("lookup"), timing.lookup_us},
                                 {std::string_view("upstream"), timing.upstream_us}}) {
    if (us < 0) continue;
    out.text(first ? "Server-Timing: " : ", ").text(name).text(";dur=").decimal(us, 3);
    first = false;
  }
  if (!first) out.text("\r\n");
}

}  // namespace

void add_hit_headers(net::Headers& headers, const pipeline::Answer& answer, const Timing& timing, uint64_t id) {
  const llm::Usage& usage = answer.entry->usage;
  Lines out;
  out.text("Cache-Status: payonce; hit; ttl=").number(answer.ttl_s).text("; detail=").text(answer.layer);
  if (!answer.hit_id.empty()) {
    const auto thousandths = std::clamp<int64_t>(std::llround(static_cast<double>(answer.similarity) * 1e3), 0, 1000);
    out.text("; similarity=").decimal(thousandths, 3).text("\r\nX-Payonce-Hit: ").text(answer.hit_id);
  }
  out.text("\r\nAge: ").number(answer.age_s);
  out.text("\r\nX-Payonce-Saved: input=").number(usage.input()).text(",output=").number(usage.output);
  out.text(",usd=").decimal(std::llround(answer.entry->cost_usd * 1e6), 6).text("\r\n");
  add_timing(out, timing);
  out.id(id);
  headers.append_lines(out.view());
}

void add_miss_headers(net::Headers& headers, const MissStatus& status, const Timing& timing) {
  Lines out;
  out.text("Cache-Status: payonce; fwd=").text(pipeline::forwarded_name(status.why));
  if (status.upstream_status != 0 && status.upstream_status != 200)
    out.text("; fwd-status=").number(status.upstream_status);
  if (status.stored) out.text("; stored");
  if (status.collapsed) out.text("; collapsed");
  if (!status.detail.empty()) out.text("; detail=").text(status.detail);
  if (status.prefix_tokens >= 0) out.text("; prefix-expected=").number(status.prefix_tokens);
  out.text("\r\n");
  add_timing(out, timing);
  out.id(status.id);
  headers.append_lines(out.view());
}

// Browsers take the last of several, also where they stand in one line.
bool has_type(const net::Headers& headers, std::string_view type) {
  const std::string_view value = headers.get("content-type").value_or("");
  return net::equals_ignoring_case(net::trim(value.substr(0, value.find(';'))), type) &&
         value.find(',') == std::string_view::npos && headers.count("content-type") == 1;
}

void keep_off_our_origin(net::Headers& headers) {
  if (has_type(headers, "application/json") || has_type(headers, "text/event-stream")) return;
  headers.add("Content-Security-Policy", "sandbox");
  headers.set("X-Content-Type-Options", "nosniff");
}

}  // namespace payonce::gateway
