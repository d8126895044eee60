// A finding as the commands' and endpoints' JSON shows it (contract: lint --json).
#pragma once

#include <boost/json/object.hpp>

#include "prefix/breakers/finding.h"

namespace payonce::prefix {

// `with_text`: also what stood there before and after.
boost::json::object finding_json(const Finding& finding, bool with_text);

}  // namespace payonce::prefix
