// The embedder that the settings ask for.  Threads: main's, once.
#pragma once

#include <memory>

#include "base/metrics.h"
#include "base/result.h"
#include "config/settings.h"
#include "embed/embedder.h"

namespace payonce {

// Null: none is wanted, or none was found, which the log says. An embedder that was named and cannot be used is an
// error; one that was only found and cannot be used is a warning. `metrics` outlives it.
base::Result<std::unique_ptr<embed::Embedder>> make_embedder(const config::Settings& settings,
                                                             base::Metrics& metrics);

}  // namespace payonce
