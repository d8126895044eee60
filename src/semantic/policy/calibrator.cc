#include "semantic/policy/calibrator.h"

#include <algorithm>
#include <cmath>

#include "base/logistic.h"

namespace payonce::semantic {
namespace {

// The prior: the verifier's logit as it is. Its precision says how many labels it takes to move a weight; margin and
// support may move most, as they depend most on the traffic.
constexpr std::array<double, 5> kPriorMean = {0, 1, 0, 0, 0};
constexpr std::array<double, 5> kPriorPrecision = {10, 100, 5, 100, 100};
constexpr double kCosineCentre = 0.8;
constexpr uint64_t kFitEvery = 100;  // questions
constexpr int kNewtonSteps = 4;
// A part of the bound is kept back for what the model cannot know.
constexpr double kSafety = 0.86;
// No answer is served that is this many times as likely to be wrong as the bound, even where there is room for it: it
// would take the place of surer ones that come later.
constexpr double kFloorTimesBound = 10;
constexpr double kMaxSavings = 4000;  // questions whose share of the bound may be saved up
constexpr double kPseudoWrong = 100;  // how many expected wrong answers weigh as much as the model
constexpr float kEntryStep = 0.8F, kEntryLimit = 2.5F;

// Solves a x = b for a symmetric positive definite a (Cholesky, in place).
template <size_t N>
void solve(std::array<std::array<double, N>, N>& a, std::array<double, N>& b) {
  for (size_t i = 0; i < N; ++i) {
    for (size_t j = 0; j <= i; ++j) {
      double sum = a[i][j];
      for (size_t k = 0; k < j; ++k) sum -= a[i][k] * a[j][k];
      a[i][j] = i == j ? std::sqrt(std::max(sum, 1e-12)) : sum / a[j][j];
    }
  }
  for (size_t i = 0; i < N; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (size_t i = N; i-- > 0;) {
    for (size_t k = i + 1; k < N; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
}

}  // namespace

void Evidence::observe(double probability, bool equal) {
  value_ =
      std::clamp(value_ + kEntryStep * static_cast<float>((equal ? 1 : 0) - probability), -kEntryLimit, kEntryLimit);
}

Calibrator::Calibrator(double error_bound) : error_bound_(error_bound), weights_(kPriorMean) {}

Calibrator::Row Calibrator::row_of(const Signals& s) {
  return {1, static_cast<double>(s.logit), static_cast<double>(s.cosine) - kCosineCentre,
          static_cast<double>(s.margin) / static_cast<double>(kMaxMargin), static_cast<double>(s.support)};
}

double Calibrator::probability(const Signals& signals) const {
  const Row row = row_of(signals);
  double z = static_cast<double>(signals.entry);
  for (size_t i = 0; i < kWeights; ++i) z += weights_[i] * row[i];
  return base::logistic(z);
}

void Calibrator::saw(const std::optional<Signals>& best, std::optional<double> served) {
  ++tally_.questions;
  const double share = kSafety * error_bound_;
  budget_ = std::min(budget_ + share, share * kMaxSavings);
  if (served) {
    ++tally_.served;
    budget_ -= cost(*served);
  }
  window_.push_back(best);
  if (window_.size() > kWindow) window_.pop_front();
  if (++since_fit_ >= kFitEvery || tally_.questions <= kFitEvery) {
    since_fit_ = 0;
    fit();
    set_threshold();
  }
}

void Calibrator::observe(const Signals& signals, bool equal, bool served) {
  ++labels_seen_;
  const double probability = this->probability(signals);
  if (served) {
    ++tally_.asked_again;
    tally_.asked_again_wrong += equal ? 0 : 1;
    asked_again_expected_ += 1 - probability;
  }
  // What is far from being served says little of where to draw the line.
  labels_.push_back({signals, equal, static_cast<float>(std::clamp(probability, 0.05, 1.0))});
  if (labels_.size() > kLabelsKept) labels_.pop_front();
}

void Calibrator::served_wrong(const Signals& signals) {
  ++labels_seen_;
  labels_.push_back({signals, false, 1});
  if (labels_.size() > kLabelsKept) labels_.pop_front();
  fit();
  set_threshold();
}

// Where what was asked again went wrong more often than expected, all is expected to.
double Calibrator::surprise() const {
  return std::max(
      1.0, (kPseudoWrong + static_cast<double>(tally_.asked_again_wrong)) / (kPseudoWrong + asked_again_expected_));
}

// Newton's method on the penalised likelihood.
void Calibrator::fit() {
  Row weights = weights_;
  for (int step = 0; step < kNewtonSteps; ++step) {
    std::array<Row, kWeights> hessian{};
    Row gradient{};
    for (size_t i = 0; i < kWeights; ++i) {
      hessian[i][i] = kPriorPrecision[i];
      gradient[i] = kPriorPrecision[i] * (kPriorMean[i] - weights[i]);
    }
    for (const Label& label : labels_) {
      const Row row = row_of(label.signals);
      double z = static_cast<double>(label.signals.entry);
      for (size_t i = 0; i < kWeights; ++i) z += weights[i] * row[i];
      const double p = base::logistic(z), weight = static_cast<double>(label.weight);
      const double residual = weight * ((label.equal ? 1 : 0) - p), curvature = weight * p * (1 - p);
      for (size_t i = 0; i < kWeights; ++i) {
        gradient[i] += residual * row[i];
        for (size_t j = 0; j <= i; ++j) hessian[i][j] += curvature * row[i] * row[j];
      }
    }
    solve(hessian, gradient);
    double largest = 0;
    for (size_t i = 0; i < kWeights; ++i) {
      weights[i] += gradient[i];
      largest = std::max(largest, std::fabs(gradient[i]));
    }
    if (largest < 1e-6) break;
  }
  if (std::all_of(weights.begin(), weights.end(), [](double weight) { return std::isfinite(weight); }))
    weights_ = weights;
}

void Calibrator::set_threshold() {
  if (labels_seen_ < kMinimumLabels) {
    threshold_ = kStrict;
    return;
  }
  std::vector<double> wrong;  // 1 - p of each candidate, the surest first
  for (const std::optional<Signals>& best : window_)
    if (best) wrong.push_back(1 - probability(*best));
  std::sort(wrong.begin(), wrong.end());
  const double fresh = kSafety * error_bound_ * static_cast<double>(window_.size());
  const double budget = (fresh + std::max(budget_, 0.0)) / surprise();
  double sum = 0;
  threshold_ = 2;
  for (const double each : wrong) {
    sum += each;
    if (sum > budget || each > kFloorTimesBound * error_bound_) break;
    threshold_ = 1 - each;
  }
}

Tally& Tally::operator+=(const Tally& other) {
  questions += other.questions;
  served += other.served;
  asked_again += other.asked_again;
  asked_again_wrong += other.asked_again_wrong;
  return *this;
}

// Without a label nothing is known: all that was served may be wrong.
Tally::WrongRate Tally::wrong_rate() const {
  if (questions == 0 || served == 0) return {};
  const double share = static_cast<double>(served) / static_cast<double>(questions);
  if (asked_again == 0) return {.estimate = 0, .low = 0, .high = share};
  constexpr double kZ = 1.96;
  const auto n = static_cast<double>(asked_again);
  const double p = static_cast<double>(asked_again_wrong) / n, spread = kZ * kZ / n;
  const double centre = (p + spread / 2) / (1 + spread);
  const double half = kZ / (1 + spread) * std::sqrt(p * (1 - p) / n + spread / (4 * n));
  return {.estimate = p * share,
          .low = std::max(0.0, centre - half) * share,
          .high = std::min(1.0, centre + half) * share};
}

}  // namespace payonce::semantic
