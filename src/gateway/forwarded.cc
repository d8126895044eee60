#include "gateway/forwarded.h"

namespace payonce::gateway {
namespace {

std::string_view miss_reason(const pipeline::Forward& forward) {
  if (!forward.prepared) return "";
  switch (forward.why) {
    case pipeline::Forwarded::kBypass: return "off";
    case pipeline::Forwarded::kRequest: return "no_cache";
    case pipeline::Forwarded::kStale: return "max_age";
    case pipeline::Forwarded::kMiss: break;
  }
  switch (forward.exact_miss) {
    case cache::MissReason::kExpired: return "expired";
    case cache::MissReason::kFault: return "fault";
    case cache::MissReason::kCold:
    case cache::MissReason::kOnDisk: break;
  }
  return "cold";
}

}  // namespace

Observer::Done forwarded(const pipeline::Forward& forward, bool collapsed) {
  Observer::Done out{.cache = pipeline::forwarded_name(forward.why),
                     .prepared = forward.prepared.get(),
                     .id = forward.prepared ? forward.id : 0,
                     .reason = miss_reason(forward),
                     .collapsed = collapsed};
  if (forward.lookup) out.semantic = semantic::outcome_name(forward.lookup->outcome);
  return out;
}

}  // namespace payonce::gateway
