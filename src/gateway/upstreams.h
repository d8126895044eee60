// One loop's way to the upstreams: where a request of a given path goes, and by which HTTP client.
// Threads: its loop only.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "llm/dialect.h"
#include "net/client.h"
#include "route/routes.h"

namespace payonce::gateway {

struct Destination {
  net::Client* client = nullptr;
  net::Origin origin;
  std::string target;  // path and query
};

// Upstream path of a client's `target` (path and query). `prefix` is the path of the base URL. An OpenAI base ends in
// "/v1", which stands for the client's "/v1"; any other path goes to the host unchanged.
std::string upstream_target(std::string_view prefix, std::string_view target, llm::Dialect dialect,
                            route::UpstreamKind wire);

// The path climbs (a step "." or "..", however it is written): servers that resolve it would be asked beside the base
// URL, with the gateway's credential.
bool leaves_its_place(std::string_view target);

// The fields that go upstream: all of the client's but those meant for us, and the credential replaced where the
// upstream has one of its own.
net::Headers upstream_headers(const net::Headers& from_client, const route::Upstream& upstream, llm::Dialect dialect);

class Upstreams {
 public:
  Upstreams(net::EventLoop& loop, base::Gauge connections);
  base::Result<Destination> destination(const route::UpstreamPtr& upstream, std::string_view target,
                                        llm::Dialect dialect, route::UpstreamKind wire);

 private:
  struct Bases {
    net::Origin openai, anthropic;
    std::string openai_prefix, anthropic_prefix;
    net::Client* client = nullptr;
  };
  base::Result<const Bases*> bases(const route::UpstreamPtr& upstream);
  net::Client& client_for(const net::ClientTls& tls);

  net::EventLoop& loop_;
  base::Gauge connections_;
  std::map<std::string, std::unique_ptr<net::Client>> clients_;  // by TLS settings
  // Does not hold its upstreams: those of an older configuration go with the last request that has them.
  std::map<std::weak_ptr<const route::Upstream>, Bases, std::owner_less<>> bases_;
};

}  // namespace payonce::gateway
