#include "pipeline/breaker_watch.h"

#include <utility>

#include "base/log.h"
#include "llm/request.h"

namespace payonce::pipeline {

BreakerWatch::BreakerWatch(Post post, size_t memory_bytes)
    : post_(std::move(post)),
      prices_(llm::PriceTable::built_in()),
      detector_(prices_, prefix::Detector::Limits{.memory_bytes = memory_bytes}) {}

void BreakerWatch::observe(const Forward& forward, const llm::Usage& billed, int64_t started_ms, int64_t latency_ms) {
  prefix::CallMeta meta{.unix_ms = started_ms, .latency_ms = latency_ms, .usage = billed};
  meta.provider = forward.trip && forward.trip->at() ? forward.trip->at()->name : forward.candidates.front()->name;
  const bool queued = post_([this, dialect = forward.prepared->dialect, body = forward.body, meta = std::move(meta)] {
    try {
      if (auto request = llm::parse_request(dialect, body)) detector_.observe(*std::move(request), meta);
    } catch (const std::exception& error) {
      base::log_warn("prefix breakers: {}; one request was not looked at", error.what());
    }
  });
  if (!queued) skipped_.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace payonce::pipeline
