// What the observer is told of a request that went to an upstream, as far as it is known when it goes.  Threads:
// pure.
#pragma once

#include "gateway/observer.h"
#include "pipeline/decision.h"

namespace payonce::gateway {

// Its reasons are one word each, for lists; explain_admin.h has the long answer. Of the exact layer: cold, expired,
// fault, off, no_cache, max_age; empty: it knows nothing of such requests.
Observer::Done forwarded(const pipeline::Forward& forward, bool collapsed);

}  // namespace payonce::gateway
