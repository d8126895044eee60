// GET /payonce/v1/explain: why one request hit or missed, part by part.  Threads: any.
#pragma once

#include <boost/json/object.hpp>
#include <optional>

#include "pipeline/explanations.h"

namespace payonce::gateway {

boost::json::object explanation_json(const pipeline::Explained& of, const std::optional<pipeline::Nearest>& nearest);

}  // namespace payonce::gateway
