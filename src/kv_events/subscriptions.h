// The subscriptions of all upstreams that offer KV events. A reload keeps those that are still wanted.
// Threads: one at a time; what it gives out any.  Owner: Instance; the subscribers are shared with the upstreams
// of each policy, so that one ends with the last request that looks at it.
#pragma once

#include <map>
#include <memory>

#include "base/clock.h"
#include "kv_events/subscriber.h"

namespace payonce::kv_events {

class Subscriptions {
 public:
  explicit Subscriptions(const base::Clock& clock) : clock_(clock) {}

  // The one to these endpoints, begun now unless somebody holds it.
  std::shared_ptr<const Subscriber> get(const Endpoints& endpoints);

 private:
  const base::Clock& clock_;
  std::map<Endpoints, std::weak_ptr<const Subscriber>> known_;
};

}  // namespace payonce::kv_events
