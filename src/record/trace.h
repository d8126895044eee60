// W3C trace context and OTLP/HTTP export (JSON) of one span a request, with the OpenTelemetry GenAI semantic
// conventions. Threads: Tracer::record() any; it only queues. Spans are sent from one event loop, in batches; when
// the collector is away or slow, the oldest are dropped and counted, never a request delayed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "base/result.h"
#include "llm/response.h"
#include "net/event_loop.h"

namespace payonce::record {

// https://www.w3.org/TR/trace-context/ : version 00, ids in lower-case hex.
struct TraceContext {
  std::string trace_id;   // 32 digits
  std::string span_id;    // 16 digits; of our span
  std::string parent_id;  // of the caller's span; empty: none
  bool sampled = true;
  std::string header() const;  // for the upstream
};
// Continues the caller's trace, or begins one when the header is absent or malformed.
TraceContext continue_trace(std::string_view traceparent);

struct Span {
  TraceContext context;
  int64_t start_unix_us = 0;
  int64_t duration_us = 0;
  std::string operation;  // gen_ai.operation.name: chat, embeddings, text_completion, count_tokens
  std::string model;      // gen_ai.request.model
  std::string cache;      // payonce.cache.outcome: hit, miss, bypass, stale, request
  std::string scope;      // payonce.scope
  int status = 0;         // http.response.status_code
  llm::Usage usage;
};

// One OTLP ExportTraceServiceRequest in JSON (opentelemetry-proto 1.x, JSON encoding: ids hex, 64-bit numbers as
// strings).
std::string otlp_json(const Span* spans, size_t count, std::string_view service);

class Tracer {
 public:
  struct Options {
    std::string endpoint;  // "http://127.0.0.1:4318": /v1/traces is appended, as OTEL_EXPORTER_OTLP_ENDPOINT asks
    std::string service = "payonce";
    size_t queue_limit = 4096;  // spans
    size_t batch = 512;
    int64_t interval_ms = 1000;
  };
  // kInvalid for a bad endpoint.
  static base::Result<std::unique_ptr<Tracer>> make(Options options, net::EventLoop& loop, base::Metrics& metrics);
  ~Tracer();
  void record(Span span);

 private:
  struct State;
  explicit Tracer(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;
};

}  // namespace payonce::record
