#include "gateway/prefix_admin.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <string>
#include <utility>

#include "prefix/breakers/finding_json.h"

namespace payonce::gateway {
namespace json = boost::json;

namespace {

json::object keep_alive_json(pipeline::KeepAliveStage& stage, double budget_usd) {
  const prefix::KeepAlive::Stats stats = stage.stats();
  return {{"pings", stats.pings}, {"failed", stats.failed}, {"late", stats.late},      {"held", stats.held},
          {"bytes", stats.bytes}, {"usd", stats.usd},       {"budget_usd", budget_usd}};
}

}  // namespace

json::object prefix_json(const pipeline::PrefixStage& stage, pipeline::KeepAliveStage* keep_alive,
                         const pipeline::Policy& policy) {
  const pipeline::PrefixStage::Stats stats = stage.stats();
  json::object acts;
  for (size_t i = 0; i < prefix::kActs; ++i) acts[prefix::act_name(static_cast<prefix::Act>(i))] = stats.acts[i];
  json::object reasons{{"fault", stats.faults}};
  for (size_t i = 0; i < pipeline::kProviderReasons.size(); ++i)
    if (stats.provider_says[i] > 0) reasons[pipeline::kProviderReasons[i]] = stats.provider_says[i];
  json::object out{
      {"hits", stats.hits},
      {"misses", stats.requests - stats.hits},
      {"entries", stats.sizes.sites},
      {"bytes", stats.sizes.spelling_bytes},
      {"reasons", std::move(reasons)},
      {"planned", stats.planned},
      {"changed", stats.changed},
      {"held", stats.held},
      {"sessions", stats.sizes.sessions},
      {"session_bytes", stats.sizes.session_bytes},
      {"acts", std::move(acts)},
      {"plan_us_mean", stats.plan_us},
      {"tokens", json::object{{"fresh", stats.fresh}, {"read", stats.read}, {"written", stats.written}}}};
  if (keep_alive != nullptr) out["keep_alive"] = keep_alive_json(*keep_alive, policy.prefix.keep_alive_usd_per_day);
  return out;
}

json::object breakers_json(const pipeline::PrefixStage& stage) {
  json::array findings;
  for (const prefix::Finding& finding : stage.breakers().findings())
    findings.push_back(prefix::finding_json(finding, true));
  return {{"requests", stage.breakers().requests()},
          {"skipped", stage.breakers().skipped()},
          {"findings", std::move(findings)}};
}

json::object prefix_sites_json(pipeline::PrefixStage& stage, size_t limit) {
  json::array sites;
  for (const prefix::CallSites::Summary& site : stage.optimizer().sites(limit)) {
    json::array texts;
    for (const prefix::TextHistory::Census& text : site.texts)
      texts.push_back(json::object{{"versions_seen", text.seen},
                                   {"stable_segments", text.stable},
                                   {"changes_each_time", text.per_request},
                                   {"changes_at_times", text.now_and_then},
                                   {"changed_once", text.once}});
    sites.push_back(json::object{{"id", fmt::format("{:016x}", site.id.low)},
                                 {"requests", site.requests},
                                 {"tools", site.tools},
                                 {"tokens_per_estimate", site.tokens_ratio},
                                 {"system", std::move(texts)}});
  }
  return {{"sites", std::move(sites)}};
}

}  // namespace payonce::gateway
