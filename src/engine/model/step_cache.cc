#include "engine/model/step_cache.h"

#include <algorithm>

namespace payonce::engine {

namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxBytes = size_t{64} << 20;

}  // namespace

base::Result<StepCache::Step*> StepCache::get(const Key& key, const std::function<base::Result<Step>()>& make) {
  const auto found = std::find_if(steps_.begin(), steps_.end(), [&](const Step& step) { return step.key == key; });
  if (found != steps_.end()) {
    steps_.splice(steps_.begin(), steps_, found);
    return &steps_.front();
  }
  PAYONCE_TRY(Step step, make());
  steps_.push_front(std::move(step));
  size_t bytes = 0, count = 0;
  for (auto it = steps_.begin(); it != steps_.end();) {
    bytes += it->bytes;
    ++count;
    const bool over = count > 1 && (count > kMaxSteps || bytes > kMaxBytes);
    it = over ? steps_.erase(it) : std::next(it);
  }
  return &steps_.front();
}

}  // namespace payonce::engine
