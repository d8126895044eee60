// How long a call takes, as the log itself tells: a fixed part, so much for a token of input that was computed, for
// one that was read from a cache, and for one that was written. Fitted on the log's latencies, so that a relative
// error counts alike for short and long calls; no part is negative. Threads: a value.  Source: least squares with all
// subsets of the four terms (non-negative least squares; Lawson and Hanson, 1974, with so few terms by trying all).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>

#include "llm/response.h"

namespace payonce::audit {

struct TimedCall {
  llm::Usage usage;
  double ms = 0;
};

struct LatencyModel {
  double fixed_ms = 0;
  double ms_per_computed_token = 0;  // fresh and written input
  double ms_per_read_token = 0;
  double ms_per_output_token = 0;
  size_t calls = 0;         // it was fitted on; fewer than kMinimum: it says nothing
  double median_error = 0;  // share of the call's latency, absolute; on calls that the fit did not see
  double bias = 0;          // of the sum of all: predicted ÷ true − 1, on the same

  static constexpr size_t kMinimum = 20;
  bool usable() const { return calls >= kMinimum; }
  double predict_ms(const llm::Usage& usage) const;
};

// Five folds: each fifth is predicted by a fit of the others, for the error; the model itself is of all.
LatencyModel fit_latency(std::span<const TimedCall> calls);

// One for each model of a log that was timed often enough, and one of all calls for the others.
struct LatencyModels {
  LatencyModel all;
  std::map<std::string, LatencyModel, std::less<>> by_model;  // usable ones alone

  const LatencyModel& of(std::string_view model) const;
  bool usable() const { return all.usable(); }
  double median_error() const;  // of the models, weighted by their calls
};

}  // namespace payonce::audit
