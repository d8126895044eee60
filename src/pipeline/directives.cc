#include "pipeline/directives.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "net/field_list.h"

namespace payonce::pipeline {
namespace {

constexpr int64_t kMaxTtl_s = 10LL * 365 * 24 * 3600;

std::optional<int64_t> parse_seconds(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') text = text.substr(1, text.size() - 2);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end != text.data() + text.size() || text.empty() || value < 0) return std::nullopt;
  if (error == std::errc::result_out_of_range) return kMaxTtl_s;
  if (error != std::errc()) return std::nullopt;
  return std::min(value, kMaxTtl_s);
}

void read_cache_control(std::string_view value, Directives& out) {
  net::for_each_item(value, [&](std::string_view item) {
    const size_t equals = item.find('=');
    const std::string_view name = net::trim(item.substr(0, equals));
    if (net::equals_ignoring_case(name, "no-cache")) out.no_cache = true;
    if (net::equals_ignoring_case(name, "no-store")) out.no_store = true;
    if (net::equals_ignoring_case(name, "only-if-cached")) out.only_if_cached = true;
    if (net::equals_ignoring_case(name, "max-age"))
      out.max_age_s =
          equals == std::string_view::npos ? 0 : parse_seconds(net::trim(item.substr(equals + 1))).value_or(0);
  });
}

base::Status read_layers(std::string_view value, Directives& out) {
  std::string unknown;
  out.exact = out.semantic = out.prefix = false;
  net::for_each_item(value, [&](std::string_view item) {
    if (item == "exact")
      out.exact = true;
    else if (item == "semantic")
      out.semantic = true;
    else if (item == "prefix")
      out.prefix = true;
    else if (item != "none")
      unknown = item;
  });
  if (!unknown.empty())
    return base::fail(
        base::Code::kInvalid,
        fmt::format("X-Payonce-Layers: unknown layer '{}'; use exact, semantic, prefix or none", unknown));
  return {};
}

}  // namespace

base::Result<Directives> parse_directives(const net::Headers& headers) {
  Directives out;
  base::Status status;
  headers.for_each([&](std::string_view name, std::string_view value) {
    if (net::equals_ignoring_case(name, "cache-control")) {
      read_cache_control(value, out);
    } else if (net::equals_ignoring_case(name, "content-encoding")) {
      out.encoded = true;
    } else if (net::equals_ignoring_case(name, "x-payonce-ttl")) {
      out.ttl_s = parse_seconds(net::trim(value));
      if (!out.ttl_s)
        status = base::fail(base::Code::kInvalid,
                            fmt::format("X-Payonce-TTL: expected whole seconds, found '{}'", value.substr(0, 40)));
    } else if (net::equals_ignoring_case(name, "x-payonce-layers")) {
      if (auto read = read_layers(value, out); !read) status = std::move(read);
    }
  });
  if (!status) return base::fail(std::move(status.error()));
  return out;
}

}  // namespace payonce::pipeline
