// The exact layer's stage: the response store with its misses' reasons counted, and the one place where a fault of it
// becomes a miss.  Threads: all methods any; load() does I/O.  Owner: the pipeline.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "base/metrics.h"
#include "cache/response_store.h"
#include "pipeline/savings.h"

namespace payonce::pipeline {

class ExactStage {
 public:
  ExactStage(cache::ResponseStore& store, base::Metrics& metrics);

  cache::Found find(const std::string& key);  // memory only
  cache::Found load(const std::string& key);  // from disk
  void insert(cache::EntryPtr entry);

  struct Stats {  // for /payonce/v1/stats
    uint64_t hits = 0, misses = 0, bypassed = 0, collapsed = 0;
    uint64_t cold = 0, expired = 0, refreshed = 0, fault = 0;  // of the misses
    uint64_t saved_input_tokens = 0, saved_output_tokens = 0;
    double saved_usd = 0;
  };
  Stats stats() const;
  void count_hit(const cache::Entry& entry);
  void count_miss(cache::MissReason why);
  void count_refreshed() { refreshed_.fetch_add(1, std::memory_order_relaxed); }  // older than the caller takes
  void count_bypassed() { bypassed_.fetch_add(1, std::memory_order_relaxed); }
  void count_collapsed();  // joined an equal request in flight
  void count_fault(const std::string& what);

 private:
  cache::ResponseStore& store_;
  const base::Counter faults_total_, collapsed_total_;
  Savings saved_;
  std::atomic<uint64_t> hits_{0}, bypassed_{0}, collapsed_{0}, cold_{0}, expired_{0}, refreshed_{0}, fault_{0};
};

}  // namespace payonce::pipeline
