#include "audit/latency_model.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

namespace payonce::audit {
namespace {

constexpr size_t kTerms = 4;
constexpr size_t kFolds = 5;
using Vector = std::array<double, kTerms>;

Vector terms_of(const llm::Usage& usage) {
  return {1, static_cast<double>(usage.fresh + usage.write_short + usage.write_long), static_cast<double>(usage.read),
          static_cast<double>(usage.output)};
}

double dot(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < kTerms; ++i) sum += a[i] * b[i];
  return sum;
}

// Sums of the normal equations, each call weighted by 1 ÷ its latency squared.
struct Sums {
  std::array<Vector, kTerms> matrix{};
  Vector right{};
  double squares = 0;
  void add(const TimedCall& call) {
    const Vector x = terms_of(call.usage);
    const double weight = 1 / (call.ms * call.ms);
    for (size_t i = 0; i < kTerms; ++i) {
      for (size_t j = 0; j < kTerms; ++j) matrix[i][j] += weight * x[i] * x[j];
      right[i] += weight * x[i] * call.ms;
    }
    squares += 1;
  }
};

// Gauss with pivots over the terms of `subset`; nothing where they are not independent.
std::optional<Vector> solve(const Sums& sums, unsigned subset) {
  std::vector<size_t> terms;
  for (size_t i = 0; i < kTerms; ++i)
    if ((subset >> i & 1U) != 0) terms.push_back(i);
  const size_t n = terms.size();
  std::vector<std::vector<double>> rows(n, std::vector<double>(n + 1));
  for (size_t i = 0; i < n; ++i) {
    for (size_t j = 0; j < n; ++j) rows[i][j] = sums.matrix[terms[i]][terms[j]];
    rows[i][n] = sums.right[terms[i]];
  }
  for (size_t i = 0; i < n; ++i) {
    size_t pivot = i;
    for (size_t k = i + 1; k < n; ++k)
      if (std::abs(rows[k][i]) > std::abs(rows[pivot][i])) pivot = k;
    if (std::abs(rows[pivot][i]) < 1e-12 * (1 + sums.matrix[terms[i]][terms[i]])) return std::nullopt;
    std::swap(rows[i], rows[pivot]);
    for (size_t k = 0; k < n; ++k) {
      if (k == i) continue;
      const double factor = rows[k][i] / rows[i][i];
      for (size_t j = i; j <= n; ++j) rows[k][j] -= factor * rows[i][j];
    }
  }
  Vector out{};
  for (size_t i = 0; i < n; ++i) {
    out[terms[i]] = rows[i][n] / rows[i][i];
    if (out[terms[i]] < 0) return std::nullopt;
  }
  return out;
}

double error_of(const Sums& sums, const Vector& x) {
  double error = sums.squares - 2 * dot(sums.right, x);
  for (size_t i = 0; i < kTerms; ++i) error += x[i] * dot(sums.matrix[i], x);
  return error;
}

Vector fit(const Sums& sums) {
  Vector best{};
  double least = sums.squares;
  for (unsigned subset = 1; subset < 1U << kTerms; ++subset) {
    const auto x = solve(sums, subset);
    if (x && error_of(sums, *x) < least) {
      least = error_of(sums, *x);
      best = *x;
    }
  }
  return best;
}

}  // namespace

double LatencyModel::predict_ms(const llm::Usage& usage) const {
  return dot({fixed_ms, ms_per_computed_token, ms_per_read_token, ms_per_output_token}, terms_of(usage));
}

LatencyModel fit_latency(std::span<const TimedCall> calls) {
  std::array<Sums, kFolds> without;
  Sums all;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (calls[i].ms <= 0) continue;
    all.add(calls[i]);
    for (size_t fold = 0; fold < kFolds; ++fold)
      if (i % kFolds != fold) without[fold].add(calls[i]);
  }
  LatencyModel out{.calls = static_cast<size_t>(all.squares)};
  if (!out.usable()) return out;
  const Vector x = fit(all);
  out.fixed_ms = x[0];
  out.ms_per_computed_token = x[1];
  out.ms_per_read_token = x[2];
  out.ms_per_output_token = x[3];
  std::array<Vector, kFolds> folds;
  for (size_t fold = 0; fold < kFolds; ++fold) folds[fold] = fit(without[fold]);
  std::vector<double> errors;
  double predicted = 0, truth = 0;
  for (size_t i = 0; i < calls.size(); ++i) {
    if (calls[i].ms <= 0) continue;
    const double ms = dot(folds[i % kFolds], terms_of(calls[i].usage));
    errors.push_back(std::abs(ms - calls[i].ms) / calls[i].ms);
    predicted += ms;
    truth += calls[i].ms;
  }
  std::nth_element(errors.begin(), errors.begin() + static_cast<ptrdiff_t>(errors.size() / 2), errors.end());
  out.median_error = errors[errors.size() / 2];
  out.bias = predicted / truth - 1;
  return out;
}

const LatencyModel& LatencyModels::of(std::string_view model) const {
  const auto it = by_model.find(model);
  return it == by_model.end() ? all : it->second;
}

double LatencyModels::median_error() const {
  double sum = 0;
  size_t calls = 0;
  for (const auto& [name, model] : by_model) {
    sum += model.median_error * static_cast<double>(model.calls);
    calls += model.calls;
  }
  return calls == 0 ? all.median_error : sum / static_cast<double>(calls);
}

}  // namespace payonce::audit
