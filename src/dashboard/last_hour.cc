#include "dashboard/last_hour.h"

#include <algorithm>
#include <bit>

namespace payonce::dashboard {
namespace {

constexpr int64_t kMinute_ms = 60'000;
constexpr int kStepBits = 2;  // steps an octave: 2^kStepBits

}  // namespace

// Values below 4 have a step each; above, the two bits below the highest choose one of four in the octave.
size_t LastHour::step_of(int64_t us) {
  const auto value = static_cast<uint64_t>(std::max<int64_t>(us, 0));
  if (value < (1u << kStepBits)) return static_cast<size_t>(value);
  const int octave = static_cast<int>(std::bit_width(value)) - 1;
  const auto rest = static_cast<size_t>(value >> (octave - kStepBits)) & ((1u << kStepBits) - 1);
  return std::min<size_t>((static_cast<size_t>(octave - 1) << kStepBits) + rest, kSteps - 1);
}

int64_t LastHour::middle_of(size_t step) {
  if (step < (1u << kStepBits)) return static_cast<int64_t>(step);
  const size_t octave = (step >> kStepBits) + 1;
  const int64_t width = int64_t{1} << (octave - kStepBits);
  const auto rest = static_cast<int64_t>(step & ((1u << kStepBits) - 1));
  return (int64_t{1} << octave) + rest * width + width / 2;
}

void LastHour::add(int64_t now_ms, const One& request) {
  const int64_t minute = now_ms / kMinute_ms;
  Slot& slot = slots_[static_cast<size_t>(minute) % kMinutes];
  if (slot.sums.minute != minute) slot = Slot{.sums = {.minute = minute}};
  Minute& sums = slot.sums;
  ++sums.requests;
  sums.hits += request.hit;
  sums.failed += request.failed;
  (request.hit ? sums.saved_usd : sums.spent_usd) += request.usd;
  if (request.hit) sums.saved_tokens += request.tokens;
  ++slot.own_us[step_of(request.own_us)];
}

std::vector<LastHour::Minute> LastHour::minutes(int64_t now_ms) const {
  const int64_t now = now_ms / kMinute_ms;
  std::vector<Minute> out;
  out.reserve(kMinutes);
  for (int64_t minute = now - static_cast<int64_t>(kMinutes) + 1; minute <= now; ++minute)
    out.push_back(minute_of(minute * kMinute_ms));
  return out;
}

LastHour::Minute LastHour::minute_of(int64_t now_ms) const {
  const int64_t minute = now_ms / kMinute_ms;
  const Minute& kept = slots_[static_cast<size_t>(minute) % kMinutes].sums;
  return kept.minute == minute ? kept : Minute{.minute = minute};
}

int64_t LastHour::own_us_quantile(int64_t now_ms, double quantile) const {
  const int64_t now = now_ms / kMinute_ms;
  std::array<uint64_t, kSteps> sums{};
  uint64_t total = 0;
  for (const Slot& slot : slots_) {
    if (slot.sums.minute <= now - static_cast<int64_t>(kMinutes) || slot.sums.minute > now) continue;
    for (size_t step = 0; step < kSteps; ++step) sums[step] += slot.own_us[step];
    total += slot.sums.requests;
  }
  if (total == 0) return -1;
  const auto rank = static_cast<uint64_t>(quantile * static_cast<double>(total - 1));
  uint64_t passed = 0;
  for (size_t step = 0; step < kSteps; ++step) {
    passed += sums[step];
    if (passed > rank) return middle_of(step);
  }
  return middle_of(kSteps - 1);
}

}  // namespace payonce::dashboard
