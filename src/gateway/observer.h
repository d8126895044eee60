// What becomes of each request for operators: latency histograms, a row among the dashboard's recent requests, one
// log line (when switched on), one span.
// Never bodies, never credentials.  Threads: all any.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "dashboard/recent_requests.h"
#include "gateway/answer_headers.h"
#include "llm/dialect.h"
#include "llm/response.h"
#include "pipeline/decision.h"
#include "record/trace.h"

namespace payonce::gateway {

// What is known of a request while it runs. Cheap to copy.
struct RequestInfo {
  struct Details {
    std::string id;  // X-Request-Id of the client, or ours
    std::string method, path;
    record::TraceContext trace;
  };
  llm::Dialect dialect = llm::Dialect::kOther;
  int64_t started_us = 0;                  // monotonic
  std::shared_ptr<const Details> details;  // only when lines or spans are wanted
};

class Observer {
 public:
  struct Options {
    bool log_requests = false;
    record::Tracer* tracer = nullptr;             // null: no spans
    dashboard::RecentRequests* recent = nullptr;  // null: no dashboard
  };
  Observer(const base::Clock& clock, base::Metrics& metrics, Options options);

  bool wants_details() const { return options_.log_requests || options_.tracer != nullptr; }
  bool traces() const { return options_.tracer != nullptr; }

  struct Done {
    int status = 200;                              // as sent; 499: the client left
    std::string_view cache;                        // hit, miss, bypass, stale, request, refused
    const pipeline::Prepared* prepared = nullptr;  // null: passed through
    llm::Usage usage;
    double usd = 0;             // what it cost; of a hit: what it saved
    uint64_t id = 0;            // of its explanation; 0: none
    std::string_view upstream;  // that answered; empty: none did
    std::string_view scope;     // of what passed through
    std::string_view layer;     // that answered; static, as below; empty: none
    std::string_view reason;    // why the exact layer did not, or why it was refused
    std::string_view semantic;  // why the semantic layer did not
    bool collapsed = false;     // got the answer of an equal request in flight
  };
  void done(const RequestInfo& request, const Timing& timing, const Done& what);

 private:
  static constexpr int64_t kOffsetAge_us = 1'000'000;
  void log(const RequestInfo& request, const Timing& timing, const Done& what, int64_t total_us) const;
  void trace(const RequestInfo& request, const Done& what, int64_t total_us) const;
  void remember(const RequestInfo& request, const Timing& timing, const Done& what, int64_t now_us);

  int64_t wall_ms(int64_t now_us);

  const base::Clock& clock_;
  const Options options_;
  std::atomic<int64_t> wall_offset_ms_{0}, offset_read_us_{-kOffsetAge_us};
  base::Histogram parse_, lookup_, upstream_, total_;
};

}  // namespace payonce::gateway
