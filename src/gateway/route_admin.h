// `routing` of /payonce/v1/stats.  Threads: any.
#pragma once

#include <boost/json/object.hpp>

#include "pipeline/pipeline.h"

namespace payonce::gateway {

boost::json::object routing_json(const pipeline::Pipeline& pipeline);

}  // namespace payonce::gateway
