// The text of one unit (a tool, the system text, a message) apart from its markers.  Threads: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

// Of a unit's tape: its list of content parts, or the string in its place; kNoNode: it has neither (a tool).
uint32_t content_of(const llm::Tape& tape, std::string_view json);

// The same JSON text without the members that mark a breakpoint, of the value itself and of its content parts.
// Every other byte stays. `json` is valid JSON.
std::string without_markers(std::string_view json);
bool has_markers(std::string_view json);

// The same with `marker` (a JSON object) as member `name` of content part `part`: of the tool itself for a tool; of
// a content that is a plain string, the string becomes its one text part, of type `text_type`.
// Empty where there is no such part.
std::string with_marker(std::string_view json, uint32_t part, std::string_view name, std::string_view marker,
                        std::string_view text_type);

// The two say the same: equal values, where a content that is a string equals its one text part. Neither has markers.
bool same_unit(std::string_view a, std::string_view b);

}  // namespace payonce::prefix
