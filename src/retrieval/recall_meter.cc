#include "retrieval/recall_meter.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace payonce::retrieval {
namespace {

constexpr double kLogTerm = 3.688879454113936;  // ln(2 / 0.05)

RecallMeter::Reading reading(std::span<const float> values) {
  RecallMeter::Reading out{.searches = values.size()};
  const auto n = static_cast<double>(values.size());
  if (values.empty()) return out;
  double sum = 0, squares = 0;
  for (const float value : values) {
    sum += static_cast<double>(value);
    squares += static_cast<double>(value) * static_cast<double>(value);
  }
  out.mean = sum / n;
  if (values.size() < 2) return out;
  const double variance = std::max(0.0, (squares - sum * out.mean) / (n - 1));
  out.low = std::max(0.0, out.mean - std::sqrt(2 * variance * kLogTerm / n) - 7 * kLogTerm / (3 * (n - 1)));
  return out;
}

}  // namespace

void RecallMeter::add(const std::string& key, double recall) {
  const std::lock_guard lock(mutex_);
  const auto [it, fresh] = rows_.try_emplace(key);
  Row& row = it->second;
  if (fresh)
    row.use = uses_.insert(uses_.begin(), key);
  else
    uses_.splice(uses_.begin(), uses_, row.use);
  const auto value = static_cast<float>(std::clamp(recall, 0.0, 1.0));
  if (row.values.size() < kWindow)
    row.values.push_back(value);
  else
    row.values[row.next] = value;
  row.next = (row.next + 1) % kWindow;
  if (rows_.size() <= kMaxKeys) return;
  rows_.erase(uses_.back());
  uses_.pop_back();
}

RecallMeter::Reading RecallMeter::read(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = rows_.find(key);
  return found == rows_.end() ? Reading() : reading(found->second.values);
}

RecallMeter::Reading RecallMeter::all() const {
  const std::lock_guard lock(mutex_);
  std::vector<float> values;
  for (const auto& [key, row] : rows_) values.insert(values.end(), row.values.begin(), row.values.end());
  return reading(values);
}

}  // namespace payonce::retrieval
