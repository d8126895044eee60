// What the admin endpoints say and do of the retrieval cache.  Threads: any.
#pragma once

#include <boost/json/object.hpp>
#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "cache/response_store.h"

namespace payonce::gateway {

class RetrievalProxy;

boost::json::object retrieval_json(RetrievalProxy& proxy);  // layers.retrieval of /payonce/v1/stats
// {"store": NAME, "collection": C}; kInvalid, kNotFound. `proxy` may be null.
base::Status invalidate_store(RetrievalProxy* proxy, std::string_view body);
// Lists that a purge names by scope, version or age; how many. Lists have no key and no model. `proxy` may be null.
uint64_t purge_lists(RetrievalProxy* proxy, const cache::PurgeFilter& filter, int64_t now_ms);

}  // namespace payonce::gateway
