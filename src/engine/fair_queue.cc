#include "engine/fair_queue.h"

#include <algorithm>

#include "engine/sequence.h"

namespace payonce::engine {

void FairQueue::push(Group& group) {
  const auto [it, is_new] = tenants_.try_emplace(group.request.tenant);
  Tenant& tenant = it->second;
  if (is_new) {
    bool first = true;
    for (const auto& [name, other] : tenants_) {
      if (&other == &tenant) continue;
      tenant.counter = first ? other.counter : std::min(tenant.counter, other.counter);
      first = false;
    }
  }
  ++tenant.active;
  ++waiting_;
  tenant.queue.push_back(&group);
}

FairQueue::Tenant* FairQueue::next() {
  Tenant* best = nullptr;
  for (auto& [name, tenant] : tenants_) {
    if (tenant.queue.empty()) continue;
    const bool earlier = best == nullptr || tenant.counter < best->counter ||
                         (tenant.counter == best->counter && tenant.queue.front()->id < best->queue.front()->id);
    if (earlier) best = &tenant;
  }
  return best;
}

Group* FairQueue::front() {
  Tenant* tenant = next();
  return tenant == nullptr ? nullptr : tenant->queue.front();
}

void FairQueue::pop_front() {
  next()->queue.pop_front();
  --waiting_;
}

void FairQueue::remove(const Group& group) {
  const auto it = tenants_.find(group.request.tenant);
  if (it == tenants_.end()) return;
  waiting_ -= static_cast<int32_t>(std::erase(it->second.queue, &group));
  if (--it->second.active == 0) tenants_.erase(it);
}

void FairQueue::charge(const std::string& tenant, double tokens) {
  if (const auto it = tenants_.find(tenant); it != tenants_.end()) it->second.counter += tokens;
}

double FairQueue::counter(const std::string& tenant) const {
  const auto it = tenants_.find(tenant);
  return it == tenants_.end() ? 0 : it->second.counter;
}

}  // namespace payonce::engine
