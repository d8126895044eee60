// Runs the calls of a log through the pipeline in the order of time: a call comes when the log says, its answer is
// there when the log says, and in between other calls come. Twice beside it, the provider's prompt cache is
// simulated: for what the client sent, and for what would have been sent.
//
// With-figures are what was billed plus the difference of the two simulations, so that an error of the simulator that
// both share does not count.  Threads: one.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "audit/inline_embedder.h"
#include "audit/options.h"
#include "audit/replayed.h"
#include "history/call.h"

namespace payonce::audit {

struct Progress {
  size_t done = 0, all = 0;  // calls
};

// `calls` by time; [i] of the result is of calls[i]. `embedder` null: no semantic layer.
std::vector<Replayed> replay(std::span<const history::Call> calls, const Options& options, InlineEmbedder* embedder,
                             const std::function<void(Progress)>& progress = nullptr);

}  // namespace payonce::audit
