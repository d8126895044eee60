// How sure is sure enough: turns what is known of a question and its candidate into a probability that the
// candidate's answer is right, and the operator's error bound into the probability from which a candidate is served.
//
// The verifier's logit is honest on what it was trained on. Here it is corrected by what happens: whenever a question
// that had a candidate is answered afresh, the two answers are compared, which is a label for free; a share of what
// was served is asked again on purpose. Five weights of a logistic regression are fitted to the labels again and
// again, held near their prior while there are few. The threshold is the lowest probability at which the expected
// share of wrong answers, over the last kWindow questions, stays within the bound: vCache's bound (arXiv 2502.03771)
// with one shared model instead of one for each entry, so there is no cold start for each of them.
//
// Threads: one at a time (its owner locks).  Owner: the semantic cache, one for each scope: what one tenant's answers
// teach never changes what another is served.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace payonce::semantic {

// Of a question and its best candidate.
struct Signals {
  float logit = 0;    // the verifier's
  float cosine = 0;   // of the two questions
  float margin = 0;   // logit less that of the best candidate with another answer, 0 to kMaxMargin
  float support = 0;  // further neighbours known to have the candidate's answer, each with its own probability
  float entry = 0;    // what the entry's own labels say: Evidence::value()
};
inline constexpr float kMaxMargin = 6;

// What labels say of one entry: a step up or down for each surprise.
class Evidence {
 public:
  void observe(double probability, bool equal);
  float value() const { return value_; }

 private:
  float value_ = 0;
};

// What happened so far, and what it says of the share of wrong answers.
struct Tally {
  uint64_t questions = 0, served = 0;
  uint64_t asked_again = 0, asked_again_wrong = 0;  // of what was served: asked afresh, and the answer was another

  struct WrongRate {
    double estimate = 0, low = 0, high = 0;  // of `questions`; 95 % interval (Wilson)
  };
  WrongRate wrong_rate() const;
  Tally& operator+=(const Tally& other);
};

class Calibrator {
 public:
  static constexpr size_t kWindow = 2000;  // questions
  static constexpr size_t kLabelsKept = 4000;
  static constexpr size_t kMinimumLabels = 50;  // below: strict
  static constexpr double kStrict = 0.95;

  explicit Calibrator(double error_bound);

  double probability(const Signals& signals) const;
  // Is a candidate of that probability served? It must reach the threshold and, once there is evidence, what has been
  // served so far must leave it room within the bound.
  bool serves(double probability) const {
    return probability >= threshold_ && (labels_seen_ < kMinimumLabels || cost(probability) <= budget_);
  }
  double threshold() const { return threshold_; }  // above 1: nothing is served

  // Each question that the layer looked at, with its best candidate that may be served, if any, and the probability
  // at which it was served, if it was.
  void saw(const std::optional<Signals>& best, std::optional<double> served);
  // A label: is the candidate's answer the fresh one? `served`: it had been served, and was asked again.
  void observe(const Signals& signals, bool equal, bool served);
  // A user says that what was served is wrong.
  void served_wrong(const Signals& signals);

  const Tally& tally() const { return tally_; }
  uint64_t labels() const { return labels_seen_; }

 private:
  static constexpr size_t kWeights = 5;
  using Row = std::array<double, kWeights>;
  struct Label {
    Signals signals;
    bool equal;
    float weight;
  };
  static Row row_of(const Signals& signals);
  double surprise() const;
  double cost(double probability) const { return (1 - probability) * surprise(); }
  void fit();
  void set_threshold();

  const double error_bound_;
  Row weights_;
  double threshold_ = kStrict;
  std::deque<Label> labels_;
  std::deque<std::optional<Signals>> window_;
  double budget_ = 0;  // wrong answers that may be expected from now on: grows with each question
  Tally tally_;
  double asked_again_expected_ = 0;  // wrong ones, by the probabilities at which they were served
  uint64_t labels_seen_ = 0;
  uint64_t since_fit_ = 0;
};

}  // namespace payonce::semantic
