// What the admin endpoints say of the semantic layer.  Threads: any.
#pragma once

#include <boost/json/object.hpp>

#include "pipeline/semantic_stage.h"

namespace payonce::gateway {

// The share of wrong answers: bound, estimate with its interval, and what it rests on.
boost::json::object wrong_answers(pipeline::SemanticStage& stage);
// layers.semantic of /payonce/v1/stats, and its part of what was saved in all.
void add_semantic(pipeline::SemanticStage& stage, boost::json::object& stats);

}  // namespace payonce::gateway
