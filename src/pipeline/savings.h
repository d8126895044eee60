// What one layer's hits spared: tokens and money, for metrics and stats.  Threads: any.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/metrics.h"
#include "llm/response.h"

namespace payonce::pipeline {

class Savings {
 public:
  Savings(base::Metrics& metrics, const std::string& layer)
      : usd_(metrics.counter("payonce_saved_usd_total", {{"layer", layer}})),
        tokens_(metrics.counter("payonce_saved_tokens_total", {{"layer", layer}})) {}

  void add(const llm::Usage& usage, double cost_usd) {
    usd_.add(cost_usd);
    tokens_.add(static_cast<double>(usage.input() + usage.output));
    input_.fetch_add(static_cast<uint64_t>(usage.input()), std::memory_order_relaxed);
    output_.fetch_add(static_cast<uint64_t>(usage.output), std::memory_order_relaxed);
  }
  uint64_t input_tokens() const { return input_; }
  uint64_t output_tokens() const { return output_; }
  double usd() const { return usd_.value(); }

 private:
  const base::Counter usd_, tokens_;
  std::atomic<uint64_t> input_{0}, output_{0};
};

}  // namespace payonce::pipeline
