// `routing` of /payonce/v1/stats.  Threads: any.
#pragma once

#include <boost/json/object.hpp>

#include "pipeline/pipeline.h"

namespace payonce::gateway {

boost::json::object routing_json(const pipeline::Pipeline& pipeline);

// GET /payonce/v1/upstreams: each of the configuration, in its order.
boost::json::object upstreams_json(const pipeline::Pipeline& pipeline, int64_t now_ms);

}  // namespace payonce::gateway
