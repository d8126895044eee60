#include "prefix/gate/gap_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace payonce::prefix {
namespace {

constexpr int64_t kFirstBinMs = 4'000;

constexpr std::array<int64_t, kAgeBins + 1> make_edges() {
  std::array<int64_t, kAgeBins + 1> edges{};
  for (size_t i = 1; i <= kAgeBins; ++i)
    edges[i] = std::min(kHorizonMs, edges[i - 1] + std::max(kFirstBinMs, edges[i - 1] / 4));
  return edges;
}
constexpr std::array<int64_t, kAgeBins + 1> kEdges = make_edges();
static_assert(kEdges[kAgeBins - 1] < kHorizonMs && kEdges[kAgeBins] == kHorizonMs);

}  // namespace

std::span<const int64_t, kAgeBins + 1> age_edges_ms() { return kEdges; }

AgePlace age_place(int64_t age_ms) {
  if (age_ms <= 0) return {};
  if (age_ms >= kHorizonMs) return {kAgeBins - 1, 1};
  const auto above = std::upper_bound(kEdges.begin(), kEdges.end(), age_ms);
  const auto bin = static_cast<size_t>(above - kEdges.begin()) - 1;
  return {bin, static_cast<double>(age_ms - kEdges[bin]) / static_cast<double>(kEdges[bin + 1] - kEdges[bin])};
}

void GapHistogram::add(size_t bin) {
  static const double keep = std::exp2(-1 / kHalfLife);
  for (double& weight : weights_) weight *= keep;
  weights_[bin] += 1;
}

double GapHistogram::weight() const {
  double sum = 0;
  for (const double weight : weights_) sum += weight;
  return sum;
}

double GapHistogram::share_within(int64_t ms) const {
  const double all = weight();
  if (all <= 0 || ms < 0) return 0;
  const AgePlace place = age_place(ms);
  double within = place.fraction * weights_[place.bin];
  for (size_t i = 0; i < place.bin; ++i) within += weights_[i];
  return within / all;
}

void GapHistogram::save(std::string& out) const {
  for (const double weight : weights_) base::put_number(out, std::bit_cast<uint64_t>(weight));
}

bool GapHistogram::load(base::NumberReader& from) {
  bool good = true;
  for (double& weight : weights_) {
    weight = std::bit_cast<double>(from.number<uint64_t>());
    good = good && std::isfinite(weight) && weight >= 0;
  }
  if (!good || !from.ok()) weights_ = {};
  return good && from.ok();
}

}  // namespace payonce::prefix
