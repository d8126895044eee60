#include "gateway/route_admin.h"

#include <boost/json/array.hpp>
#include <utility>

namespace payonce::gateway {
namespace json = boost::json;

json::object routing_json(const pipeline::Pipeline& pipeline) {
  const route::Placement::Stats stats = pipeline.route().stats();
  json::array upstreams;
  for (const auto& one : stats.upstreams)
    upstreams.push_back(json::object{{"name", one.name},
                                     {"in_flight", one.in_flight},
                                     {"requests", one.requests},
                                     {"prefixes", one.prefixes},
                                     {"us_per_token", one.us_per_token},
                                     {"expected_tokens", one.expected},
                                     {"read_tokens", one.read},
                                     {"kept", one.kept},
                                     {"capacity_tokens", one.capacity_tokens}});
  json::object moved;
  for (size_t i = 1; i < route::kMoves; ++i) moved[route::move_name(static_cast<route::Moved>(i))] = stats.moved[i];
  json::object out{{"upstreams", std::move(upstreams)}, {"moved", std::move(moved)}};
  for (const auto& [name, policy] : route::kRoutingPolicies)
    if (policy == pipeline.policy()->routing) out["policy"] = name;
  return out;
}

}  // namespace payonce::gateway
