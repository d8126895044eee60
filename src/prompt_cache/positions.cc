#include "prompt_cache/positions.h"

#include <algorithm>
#include <vector>

namespace payonce::prompt_cache {

Position* PositionStore::find(const base::Hash128& hash) {
  const auto it = positions_.find(hash);
  return it == positions_.end() ? nullptr : &it->second;
}

const Position* PositionStore::find(const base::Hash128& hash) const {
  const auto it = positions_.find(hash);
  return it == positions_.end() ? nullptr : &it->second;
}

Position& PositionStore::get(const base::Hash128& hash) {
  if (const auto it = positions_.find(hash); it != positions_.end()) return it->second;
  if (positions_.size() >= limit_) make_room();
  return positions_[hash];
}

// A quarter at once, so that the sort is paid for by many insertions. Of equal ages some stay: those above the limit.
void PositionStore::make_room() {
  std::vector<int64_t> ages;
  ages.reserve(positions_.size());
  for (const auto& [hash, position] : positions_) ages.push_back(position.seen_ms);
  const size_t surplus = std::max<size_t>(1, positions_.size() / 4);
  std::nth_element(ages.begin(), ages.begin() + static_cast<ptrdiff_t>(surplus - 1), ages.end());
  const int64_t oldest_kept = ages[surplus - 1];
  size_t gone = 0;
  for (auto it = positions_.begin(); it != positions_.end() && gone < surplus;) {
    const bool goes = it->second.seen_ms <= oldest_kept;
    gone += goes ? 1 : 0;
    it = goes ? positions_.erase(it) : std::next(it);
  }
}

}  // namespace payonce::prompt_cache
