// layers.prefix of /payonce/v1/stats.  Threads: any.
#pragma once

#include <boost/json/object.hpp>

#include "pipeline/keep_alive_stage.h"
#include "pipeline/policy.h"
#include "pipeline/prefix_stage.h"

namespace payonce::gateway {

// A hit is a request of which the provider read something from its cache. `reasons` counts faults of ours, and what
// providers said of their misses where they were asked.
// `keep_alive`: null: no such part.
boost::json::object prefix_json(const pipeline::PrefixStage& stage, pipeline::KeepAliveStage* keep_alive,
                                const pipeline::Policy& policy);
// GET /payonce/v1/prefix: the call sites, and what of their system text stays, changes at times, or each time.
// GET /payonce/v1/breakers: what keeps live requests from sharing a prefix, as `payonce lint --json` tells it.
boost::json::object breakers_json(const pipeline::PrefixStage& stage);
boost::json::object prefix_sites_json(pipeline::PrefixStage& stage, size_t limit);

}  // namespace payonce::gateway
