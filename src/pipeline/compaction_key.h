// What of a compaction call its key is made from, so that the same conversation, compacted again, finds its summary.
// Threads: pure function.
#pragma once

#include <optional>

#include "base/hash.h"
#include "llm/request.h"

namespace payonce::pipeline {

// The request without times and random ids in its system text and instruction, and without metadata; nothing where it
// is no compaction call. The conversation, the model, the parameters and all other words stay.
std::optional<llm::Request> compaction_form(const llm::Request& request, const base::KeyedHash& hash);

}  // namespace payonce::pipeline
