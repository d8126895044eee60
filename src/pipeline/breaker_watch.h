// Live traffic through the detector of prefix breakers, beside the requests: on the worker pool, with the bodies that
// clients sent, whatever the prefix layer made of them.
// Threads: all any.  Bounded: the detector's memory; when the pool is full a request is skipped and counted.
// What it finds holds excerpts of all callers' requests: for the operator alone.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "llm/prices.h"
#include "pipeline/decision.h"
#include "prefix/breakers/detector.h"

namespace payonce::pipeline {

class BreakerWatch {
 public:
  using Post = std::function<bool(std::function<void()>)>;  // to the worker pool; false: it is full
  BreakerWatch(Post post, size_t memory_bytes);             // of requests kept for comparison

  // `forward` was sent at `started_ms` (Unix) and billed so.
  void observe(const Forward& forward, const llm::Usage& billed, int64_t started_ms, int64_t latency_ms);

  std::vector<prefix::Finding> findings() const { return detector_.findings(); }
  size_t requests() const { return detector_.requests(); }
  uint64_t skipped() const { return skipped_; }

 private:
  const Post post_;
  const llm::PriceTable prices_;
  prefix::Detector detector_;
  std::atomic<uint64_t> skipped_{0};
};

}  // namespace payonce::pipeline
