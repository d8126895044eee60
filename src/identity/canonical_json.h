// One spelling of a JSON value: members sorted by name, numbers in one form, strings decoded. Two texts have one
// spelling exactly when they are the same value; members of one name both stay, in their order.
// Threads: pure function.
#pragma once

#include <string>
#include <string_view>

#include "llm/json_tape.h"

namespace payonce::identity {

// Of the value at `node` of `text`; the value at `elided`, if that is in it, counts as one mark.
std::string canonical_json(const llm::Tape& tape, std::string_view text, uint32_t node,
                           uint32_t elided = llm::Tape::kNone);

}  // namespace payonce::identity
