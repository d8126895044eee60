// One spelling of a JSON value: members sorted by name, numbers as identity writes them, strings decoded. Two texts
// have one spelling exactly when they are the same value; members of one name both stay, in their order.
// Threads: pure function.
#pragma once

#include <string>

#include "retrieval/json_view.h"

namespace payonce::retrieval {

// Of the value at `node`; the value at `elided`, if that is in it, counts as one mark.
std::string canonical_json(const JsonView& view, uint32_t node, uint32_t elided = JsonView::kNone);

}  // namespace payonce::retrieval
