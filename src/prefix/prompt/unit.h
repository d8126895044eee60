// The text of one unit (a tool, the system text, a message) apart from its markers.  Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

// The same JSON text without the members that mark a breakpoint, of the value itself and of its content parts.
// Every other byte stays. `json` is valid JSON.
std::string without_markers(std::string_view json);
bool has_markers(std::string_view json);

// The same with `marker` (a JSON object) as member `name` of content part `part`: of the tool itself for a tool; of
// a content that is a plain string, the string becomes its one text part, of type `text_type`.
// Empty where there is no such part.
std::string with_marker(std::string_view json, uint32_t part, std::string_view name, std::string_view marker,
                        std::string_view text_type);

}  // namespace payonce::prefix
