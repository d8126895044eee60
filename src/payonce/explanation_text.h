// An answer of /payonce/v1/explain as text for people.  Threads: pure function.
#pragma once

#include <boost/json/value.hpp>
#include <string>

namespace payonce {

std::string explanation_text(const boost::json::value& explanation);

}  // namespace payonce
