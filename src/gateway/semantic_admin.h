// What the admin endpoints say of the semantic layer.  Threads: any.
#pragma once

#include <boost/json/object.hpp>

#include "pipeline/semantic_stage.h"

namespace payonce::gateway {

// layers.semantic of /payonce/v1/stats, and its part of what was saved in all.
void add_semantic(pipeline::SemanticStage& stage, boost::json::object& stats);

}  // namespace payonce::gateway
