// A request's question on its way through the semantic layer.
#pragma once

#include <cstdint>
#include <memory>

#include "base/gate.h"
#include "semantic/semantic_cache.h"

namespace payonce::pipeline {

struct AskedQuestion final : semantic::Lookup {
  int64_t started_us = 0;  // monotonic
  bool waited_for = true;  // false: it is looked up beside the upstream call
  base::Gate looked_up;    // opens when the Lookup is filled in, or could not be
};
using AskedQuestionPtr = std::shared_ptr<AskedQuestion>;

}  // namespace payonce::pipeline
