#include "gateway/upstreams.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/find_any.h"

namespace payonce::gateway {
namespace {

// RFC 9110 7.6.1, and what net's client sets itself. "te" only ever concerns one hop.
constexpr std::array<std::string_view, 11> kHopByHop = {
    "connection",     "keep-alive", "proxy-connection",   "te", "trailer", "transfer-encoding", "upgrade", "host",
    "content-length", "expect",     "proxy-authorization"};

bool goes_upstream(std::string_view name) {
  for (const std::string_view hop : kHopByHop)
    if (net::equals_ignoring_case(name, hop)) return false;
  constexpr std::string_view kOurs = "x-payonce-";
  return !(name.size() >= kOurs.size() && net::equals_ignoring_case(name.substr(0, kOurs.size()), kOurs));
}

bool is_credential(std::string_view name) {
  return net::equals_ignoring_case(name, "authorization") || net::equals_ignoring_case(name, "x-api-key") ||
         net::equals_ignoring_case(name, "api-key") || net::equals_ignoring_case(name, "x-goog-api-key");
}

bool strip_v1(std::string_view& path) {
  if (!path.starts_with("/v1") || (path.size() > 3 && path[3] != '/' && path[3] != '?')) return false;
  path.remove_prefix(3);
  return true;
}

// One step of a path, as servers in between may read it.
bool climbs(std::string_view step) {
  std::string plain;
  for (size_t i = 0; i < step.size(); ++i) {
    const bool dot = step.substr(i, 3) == "%2e" || step.substr(i, 3) == "%2E";
    plain += dot ? '.' : step[i];
    if (dot) i += 2;
  }
  return plain == "." || plain == "..";
}

}  // namespace

bool leaves_its_place(std::string_view target) {
  if (base::find_any<'.', '%'>(target) == std::string_view::npos) return false;  // as nearly always
  std::string_view path = target.substr(0, target.find('?'));
  while (!path.empty()) {
    size_t end = path.find_first_of("/\\");
    size_t skip = 1;
    for (const std::string_view slash : {"%2f", "%2F", "%5c", "%5C"})
      if (const size_t at = path.find(slash); at < end) {
        end = at;
        skip = slash.size();
      }
    if (climbs(path.substr(0, end))) return true;
    path.remove_prefix(end == std::string_view::npos ? path.size() : end + skip);
  }
  return false;
}

std::string upstream_target(std::string_view prefix, std::string_view target, llm::Dialect dialect,
                            route::UpstreamKind wire) {
  std::string_view root = prefix;
  const bool versioned = wire == route::UpstreamKind::kOpenAi && root.ends_with("/v1");
  std::string_view rest = target;
  if (versioned) {
    if (strip_v1(rest)) return fmt::format("{}{}", prefix, rest);
    if (dialect != llm::Dialect::kOther && dialect != llm::Dialect::kGemini)
      return fmt::format("{}{}", prefix, target);  // "/chat/completions"
    root.remove_suffix(3);
    return fmt::format("{}{}", root, target);
  }
  return fmt::format("{}{}", prefix, target);
}

net::Headers upstream_headers(const net::Headers& from_client, const route::Upstream& upstream,
                              llm::Dialect dialect) {
  net::Headers out;
  out.reserve(from_client.lines().size() + 128);
  const bool replaced = !upstream.key.empty() || !upstream.forward_credential;
  const bool readable = dialect != llm::Dialect::kOther;
  from_client.for_each([&](std::string_view name, std::string_view value) {
    if (!goes_upstream(name) || (replaced && is_credential(name))) return;
    // We read and keep the answers of known dialects, so they must come unencoded.
    if (readable && net::equals_ignoring_case(name, "accept-encoding")) return;
    out.add(name, value);
  });
  if (readable) out.add("Accept-Encoding", "identity");
  if (!upstream.key.empty()) {
    if (dialect == llm::Dialect::kGemini)
      out.add("x-goog-api-key", upstream.key);
    else if (upstream.kind == route::UpstreamKind::kAnthropic)
      out.add("x-api-key", upstream.key);
    else
      out.add("Authorization", "Bearer " + upstream.key);
  }
  return out;
}

Upstreams::Upstreams(net::EventLoop& loop, base::Gauge connections) : loop_(loop), connections_(connections) {}

base::Result<Destination> Upstreams::destination(const route::UpstreamPtr& upstream, std::string_view target,
                                                 llm::Dialect dialect, route::UpstreamKind wire) {
  PAYONCE_TRY(const Bases* bases, this->bases(upstream));
  const bool anthropic = wire == route::UpstreamKind::kAnthropic;
  return Destination{
      .client = bases->client,
      .origin = anthropic ? bases->anthropic : bases->openai,
      .target = upstream_target(anthropic ? bases->anthropic_prefix : bases->openai_prefix, target, dialect, wire)};
}

base::Result<const Upstreams::Bases*> Upstreams::bases(const route::UpstreamPtr& upstream) {
  if (const auto it = bases_.find(upstream); it != bases_.end()) return &it->second;
  Bases made;
  PAYONCE_TRY(made.openai, net::Origin::parse(upstream->base_url, &made.openai_prefix));
  PAYONCE_TRY(made.anthropic, net::Origin::parse(upstream->anthropic_base_url, &made.anthropic_prefix));
  made.openai.http2_prior_knowledge = made.anthropic.http2_prior_knowledge = upstream->http2;
  made.client = &client_for({.ca_file = upstream->ca_file, .verify = upstream->verify_tls});
  std::erase_if(bases_, [](const auto& known) { return known.first.expired(); });
  return &bases_.emplace(upstream, std::move(made)).first->second;
}

net::Client& Upstreams::client_for(const net::ClientTls& tls) {
  auto& client = clients_[fmt::format("{}|{}", tls.verify, tls.ca_file)];
  if (!client)
    client = std::make_unique<net::Client>(loop_, net::Client::Options{.tls = tls, .connections = connections_});
  return *client;
}

}  // namespace payonce::gateway
