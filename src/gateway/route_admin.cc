#include "gateway/route_admin.h"

#include <boost/json.hpp>
#include <utility>

#include "kv_events/subscriber.h"

namespace payonce::gateway {
namespace json = boost::json;

namespace {

json::object events_json(const kv_events::Subscriber& subscriber) {
  const kv_events::Feed::Stats feed = subscriber.stats();
  const kv_events::BlockIndex::State index = subscriber.index().state();
  return {{"connected", feed.connected},   {"complete", index.complete}, {"blocks", index.blocks},
          {"tokens", index.tokens},        {"batches", feed.batches},    {"events", index.events},
          {"orphans", index.orphans},      {"gaps", feed.gaps},          {"lost_batches", feed.lost},
          {"unreadable", feed.unreadable}, {"restarts", feed.restarts},  {"cleared", index.losses},
          {"lag_ms", feed.lag_ms},         {"last_ms", feed.came_ms}};
}

}  // namespace

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
  json::object events;
  for (const route::UpstreamPtr& upstream : pipeline.policy()->routes.all())
    if (upstream->cache_events) events[upstream->name] = events_json(*upstream->cache_events);
  if (!events.empty()) out["kv_events"] = std::move(events);
  for (const auto& [name, policy] : route::kRoutingPolicies)
    if (policy == pipeline.policy()->routing) out["policy"] = name;
  return out;
}

json::object upstreams_json(const pipeline::Pipeline& pipeline, int64_t now_ms) {
  const route::Placement::Stats stats = pipeline.route().stats();
  json::array rows;
  for (const route::UpstreamPtr& upstream : pipeline.policy()->routes.all()) {
    json::object row{{"name", upstream->name},
                     {"local", upstream->local != nullptr},
                     {"kind", upstream->kind == route::UpstreamKind::kAnthropic ? "anthropic" : "openai"},
                     {"breaker", upstream->breaker->is_open(now_ms) ? "open" : "closed"}};
    if (!upstream->base_url.empty()) row["base_url"] = upstream->base_url;
    if (!upstream->models.empty()) row["models"] = json::value_from(upstream->models);
    for (const auto& one : stats.upstreams) {
      if (one.name != upstream->name) continue;
      row["in_flight"] = one.in_flight;
      row["requests"] = one.requests;
      if (one.us_per_token > 0) row["us_per_token"] = one.us_per_token;
    }
    rows.push_back(std::move(row));
  }
  return {{"upstreams", std::move(rows)}};
}

}  // namespace payonce::gateway
