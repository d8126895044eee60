// How long it takes until a prefix is used again, learned from traffic: bins that grow by a quarter of their age, old
// observations fading. Bounded (one table of fixed size), deterministic.
// Threads: one at a time.  Units: milliseconds.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/little_endian.h"

namespace payonce::prefix {

// Edges of the bins: 0, 4 s, 8 s, …, each a quarter further, up to an hour. Shared by everything here that has an
// age.
inline constexpr size_t kAgeBins = 29;
inline constexpr int64_t kHorizonMs = 3'600'000;
std::span<const int64_t, kAgeBins + 1> age_edges_ms();
// The bin of an age, and how far into it (0 to 1). Beyond the horizon: the last one, 1.
struct AgePlace {
  size_t bin = 0;
  double fraction = 0;
};
AgePlace age_place(int64_t age_ms);

class GapHistogram {
 public:
  // A use `gap_ms` after the one before; older ones lose weight, to a half after kHalfLife observations.
  void reused(int64_t gap_ms) { add(age_place(gap_ms).bin); }
  // It was not used again within the horizon.
  void never() { add(kAgeBins); }

  // Share of uses that are followed by another within `ms` (at most the horizon). Nothing observed: 0.
  double share_within(int64_t ms) const;
  double weight() const;  // of all observations that have not faded

  static constexpr double kHalfLife = 20'000;  // observations

  void save(std::string& out) const;
  bool load(base::NumberReader& from);  // false: no numbers that could be such a table; it is then empty

 private:
  void add(size_t bin);
  std::array<double, kAgeBins + 1> weights_{};  // the last: never
};

}  // namespace payonce::prefix
