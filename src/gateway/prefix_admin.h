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

}  // namespace payonce::gateway
