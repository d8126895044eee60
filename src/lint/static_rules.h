// What one request or template shows without another one to compare with: placeholders of volatile values, and texts
// that say of themselves that they are volatile.  Threads: pure functions.
#pragma once

#include <string_view>
#include <vector>

#include "llm/request.h"
#include "prefix/breakers/finding.h"

namespace payonce::lint {

// In the tools' descriptions and the system text of a request.
std::vector<prefix::Finding> static_findings(const llm::Request& request);
// In a template; paths are "line 3", offsets those of the file.
std::vector<prefix::Finding> template_findings(std::string_view text);

}  // namespace payonce::lint
