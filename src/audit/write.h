// A report for programs, for a terminal, and as a page.  Threads: pure functions.
#pragma once

#include <boost/json/object.hpp>
#include <string>

#include "audit/report.h"

namespace payonce::audit {

// The contract's shape, with more beside it; docs/audit.md names every member.
boost::json::object as_json(const Report& report, const history::Log& log, const Options& options);
// Fits a screen of 80 columns and 40 lines.
std::string as_text(const Report& report);
// One self-contained page; `report`: of as_json().
std::string as_html(const boost::json::object& report);

}  // namespace payonce::audit
