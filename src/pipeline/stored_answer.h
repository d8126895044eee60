// A stored entry as the answer to a request, in the framing that its caller asked for: streamed or whole.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "pipeline/decision.h"

namespace payonce::pipeline {

// Error: recorded bytes that cannot be framed otherwise. `layer` and what belongs to a semantic hit is left to the
// caller.
base::Result<Answer> stored_answer(const PreparedPtr& prepared, const cache::EntryPtr& entry, int64_t now_ms);

// RFC 9111 5.2.1.1: false, if the entry is older than the caller takes (max-age).
bool young_enough(const cache::Entry& entry, const Directives& directives, int64_t now_ms);

}  // namespace payonce::pipeline
