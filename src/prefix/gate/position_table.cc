#include "prefix/gate/position_table.h"

#include <algorithm>
#include <bit>

namespace payonce::prefix {

PositionTable::PositionTable(size_t capacity)
    : mask_(std::bit_ceil(std::max(capacity, kWays)) / kWays - 1),
      tags_((mask_ + 1) * kWays),
      places_((mask_ + 1) * kWays) {}

KnownPosition* PositionTable::find(const base::Hash128& chain) {
  const size_t set = set_of(chain);
  const uint32_t tag = tag_of(chain);
  for (size_t i = set; i < set + kWays; ++i)
    if (tags_[i] == tag && places_[i].chain == chain) return &places_[i];
  return nullptr;
}

KnownPosition& PositionTable::find_or_insert(const base::Hash128& chain, int64_t now_ms) {
  if (KnownPosition* known = find(chain)) return *known;
  const size_t set = set_of(chain);
  size_t place = set;
  for (size_t i = set; i < set + kWays; ++i) {
    if (tags_[i] == 0) {
      place = i;
      break;
    }
    if (places_[i].seen_ms < places_[place].seen_ms) place = i;
  }
  tags_[place] = tag_of(chain);
  places_[place] = {.chain = chain, .first_ms = now_ms, .seen_ms = now_ms};
  return places_[place];
}

}  // namespace payonce::prefix
