#include "pipeline/exact_stage.h"

#include <exception>
#include <utility>

#include "base/log.h"

namespace payonce::pipeline {

ExactStage::ExactStage(cache::ResponseStore& store, base::Metrics& metrics)
    : store_(store),
      faults_total_(metrics.counter("payonce_layer_faults_total", {{"layer", "exact"}})),
      collapsed_total_(metrics.counter("payonce_collapsed_total")),
      saved_(metrics, "exact") {}

cache::Found ExactStage::find(const std::string& key) {
  try {
    return store_.find(key);
  } catch (const std::exception& error) {
    count_fault(error.what());
    return {.entry = nullptr, .reason = cache::MissReason::kFault};
  }
}

cache::Found ExactStage::load(const std::string& key) {
  try {
    return {.entry = store_.load(key), .reason = cache::MissReason::kCold};
  } catch (const std::exception& error) {
    count_fault(error.what());
    return {.entry = nullptr, .reason = cache::MissReason::kFault};
  }
}

void ExactStage::insert(cache::EntryPtr entry) {
  try {
    store_.insert(std::move(entry));
  } catch (const std::exception& error) {
    count_fault(error.what());
  }
}

void ExactStage::count_hit(const cache::Entry& entry) {
  hits_.fetch_add(1, std::memory_order_relaxed);
  saved_.add(entry.usage, entry.cost_usd);
}

void ExactStage::count_miss(cache::MissReason why) {
  std::atomic<uint64_t>& reason = why == cache::MissReason::kExpired ? expired_
                                  : why == cache::MissReason::kFault ? fault_
                                                                     : cold_;
  reason.fetch_add(1, std::memory_order_relaxed);
}

void ExactStage::count_collapsed() {
  collapsed_.fetch_add(1, std::memory_order_relaxed);
  collapsed_total_.add();
}

void ExactStage::count_fault(const std::string& what) {
  faults_total_.add();
  base::log_error("response store: {}", what);
}

ExactStage::Stats ExactStage::stats() const {
  Stats out{.hits = hits_,
            .bypassed = bypassed_,
            .collapsed = collapsed_,
            .cold = cold_,
            .expired = expired_,
            .refreshed = refreshed_,
            .fault = fault_,
            .saved_input_tokens = saved_.input_tokens(),
            .saved_output_tokens = saved_.output_tokens(),
            .saved_usd = saved_.usd()};
  out.misses = out.cold + out.expired + out.refreshed + out.fault;
  return out;
}

}  // namespace payonce::pipeline
