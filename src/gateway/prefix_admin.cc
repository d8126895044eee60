#include "gateway/prefix_admin.h"

#include <string>
#include <utility>

namespace payonce::gateway {
namespace json = boost::json;

json::object prefix_json(const pipeline::PrefixStage& stage) {
  const pipeline::PrefixStage::Stats stats = stage.stats();
  json::object acts;
  for (size_t i = 0; i < prefix::kActs; ++i) acts[prefix::act_name(static_cast<prefix::Act>(i))] = stats.acts[i];
  json::object reasons{{"fault", stats.faults}};
  for (size_t i = 0; i < pipeline::kProviderReasons.size(); ++i)
    if (stats.provider_says[i] > 0) reasons[pipeline::kProviderReasons[i]] = stats.provider_says[i];
  return {{"hits", stats.hits},
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
}

}  // namespace payonce::gateway
