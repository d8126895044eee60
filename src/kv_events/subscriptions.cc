#include "kv_events/subscriptions.h"

namespace payonce::kv_events {

std::shared_ptr<const Subscriber> Subscriptions::get(const Endpoints& endpoints) {
  std::erase_if(known_, [](const auto& one) { return one.second.expired(); });
  std::weak_ptr<const Subscriber>& slot = known_[endpoints];
  if (auto alive = slot.lock()) return alive;
  auto made = std::make_shared<const Subscriber>(endpoints, clock_);
  slot = made;
  return made;
}

}  // namespace payonce::kv_events
