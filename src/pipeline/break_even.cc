#include "pipeline/break_even.h"

#include <algorithm>

namespace payonce::pipeline {
namespace {

void update(double& mean, double value, uint64_t count, double memory) {
  mean += (value - mean) / std::min(static_cast<double>(count), memory);
}

}  // namespace

BreakEven::Route* BreakEven::find(const std::string& route) {
  const auto found = routes_.find(route);
  if (found != routes_.end()) return &found->second;
  return routes_.size() < options_.max_routes ? &routes_[route] : nullptr;
}

bool BreakEven::should_wait(const std::string& route) {
  const std::lock_guard lock(mutex_);
  const Route* known = find(route);
  return known == nullptr || !known->sampling || std::bernoulli_distribution(options_.sample)(random_);
}

void BreakEven::looked(const std::string& route, bool hit, int64_t delay_us) {
  const std::lock_guard lock(mutex_);
  Route* known = find(route);
  if (known == nullptr) return;
  ++known->looks;
  update(known->hit_rate, hit ? 1 : 0, known->looks, options_.memory);
  update(known->delay_us, static_cast<double>(delay_us), known->looks, options_.memory);
  const bool judged = known->looks >= options_.trial && known->calls > 0;
  known->sampling = judged && known->hit_rate * std::max(known->upstream_us, options_.call_us) < known->delay_us;
}

void BreakEven::called(const std::string& route, int64_t upstream_us) {
  const std::lock_guard lock(mutex_);
  Route* known = find(route);
  if (known == nullptr) return;
  ++known->calls;
  update(known->upstream_us, static_cast<double>(upstream_us), known->calls, options_.memory);
}

bool BreakEven::sampling() const {
  const std::lock_guard lock(mutex_);
  return std::any_of(routes_.begin(), routes_.end(), [](const auto& route) { return route.second.sampling; });
}

}  // namespace payonce::pipeline
