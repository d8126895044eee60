#include "gateway/prefix_admin.h"

#include <string>
#include <utility>

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
      {"acts", std::move(acts)},
      {"plan_us_mean", stats.plan_us},
      {"tokens", json::object{{"fresh", stats.fresh}, {"read", stats.read}, {"written", stats.written}}}};
  if (keep_alive != nullptr) out["keep_alive"] = keep_alive_json(*keep_alive, policy.prefix.keep_alive_usd_per_day);
  return out;
}

}  // namespace payonce::gateway
