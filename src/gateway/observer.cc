#include "gateway/observer.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/log.h"

namespace payonce::gateway {
namespace {

double seconds(int64_t us) { return static_cast<double>(us) / 1e6; }

// gen_ai.operation.name of the OpenTelemetry GenAI conventions.
std::string_view operation(llm::Dialect dialect) {
  switch (dialect) {
    case llm::Dialect::kOpenAiChat:
    case llm::Dialect::kOpenAiResponses:
    case llm::Dialect::kAnthropicMessages: return "chat";
    case llm::Dialect::kGemini: return "generate_content";
    case llm::Dialect::kOpenAiEmbeddings: return "embeddings";
    case llm::Dialect::kOpenAiCompletions: return "text_completion";
    case llm::Dialect::kAnthropicCountTokens: return "count_tokens";
    case llm::Dialect::kOther: break;
  }
  return "http";
}

}  // namespace

Observer::Observer(const base::Clock& clock, base::Metrics& metrics, Options options)
    : clock_(clock),
      options_(options),
      parse_(metrics.histogram("payonce_request_seconds", {{"phase", "parse"}})),
      lookup_(metrics.histogram("payonce_request_seconds", {{"phase", "lookup"}})),
      upstream_(metrics.histogram("payonce_request_seconds", {{"phase", "upstream"}})),
      total_(metrics.histogram("payonce_request_seconds", {{"phase", "total"}})) {
  (void)wall_ms(clock_.monotonic_us());
}

void Observer::done(const RequestInfo& request, const Timing& timing, const Done& what) {
  const int64_t now_us = clock_.monotonic_us();
  const int64_t total_us = now_us - request.started_us;
  if (timing.parse_us >= 0) parse_.observe(seconds(timing.parse_us));
  if (timing.lookup_us >= 0) lookup_.observe(seconds(timing.lookup_us));
  if (timing.upstream_us >= 0) upstream_.observe(seconds(timing.upstream_us));
  total_.observe(seconds(total_us));
  if (options_.recent != nullptr) remember(request, timing, what, now_us);
  if (options_.log_requests && request.details) log(request, timing, what, total_us);
  if (options_.tracer != nullptr && request.details) trace(request, what, total_us);
}

// The wall clock, by the monotonic one that has been read anyway: on the hit path each reading shows. Their distance
// is read anew every second, since clocks are set and machines sleep.
int64_t Observer::wall_ms(int64_t now_us) {
  if (now_us - offset_read_us_.load(std::memory_order_relaxed) >= kOffsetAge_us) {
    offset_read_us_.store(now_us, std::memory_order_relaxed);
    wall_offset_ms_.store(clock_.unix_ms() - now_us / 1000, std::memory_order_relaxed);
  }
  return now_us / 1000 + wall_offset_ms_.load(std::memory_order_relaxed);
}

void Observer::remember(const RequestInfo& request, const Timing& timing, const Done& what, int64_t now_us) {
  const int64_t own_us = std::max<int64_t>(timing.parse_us, 0) + std::max<int64_t>(timing.lookup_us, 0);
  const dashboard::Facts facts{.id = what.id,
                               .at_ms = wall_ms(now_us),
                               .dialect = request.dialect,
                               .status = what.status,
                               .outcome = what.cache,
                               .layer = what.layer,
                               .reason = what.reason,
                               .semantic = what.semantic,
                               .collapsed = what.collapsed,
                               .total_us = now_us - request.started_us,
                               .own_us = own_us,
                               .upstream_us = timing.upstream_us,
                               .input_tokens = what.usage.input(),
                               .output_tokens = what.usage.output,
                               .usd = what.usd};
  const bool known = what.prepared != nullptr;
  options_.recent->add({.scope = known ? std::string_view(what.prepared->scope) : what.scope,
                        .model = known ? std::string_view(what.prepared->model) : std::string_view(),
                        .upstream = what.upstream},
                       facts);
}

void Observer::log(const RequestInfo& request, const Timing& timing, const Done& what, int64_t total_us) const {
  const std::string status = std::to_string(what.status);
  const std::string total = fmt::format("{:.3f}", static_cast<double>(total_us) / 1000);
  const std::string upstream =
      timing.upstream_us < 0 ? "" : fmt::format("{:.3f}", static_cast<double>(timing.upstream_us) / 1000);
  base::log_event(
      base::LogLevel::kInfo, "request",
      {{"request_id", request.details->id},
       {"method", request.details->method},
       {"path", request.details->path},
       {"status", status},
       {"cache", what.cache},
       {"model", what.prepared != nullptr ? std::string_view(what.prepared->model) : std::string_view()},
       {"caller", what.prepared != nullptr ? std::string_view(what.prepared->caller) : std::string_view()},
       {"total_ms", total},
       {"upstream_ms", upstream},
       {"trace_id", request.details->trace.trace_id}});
}

void Observer::trace(const RequestInfo& request, const Done& what, int64_t total_us) const {
  record::Span span;
  span.context = request.details->trace;
  span.start_unix_us = clock_.unix_ms() * 1000 - total_us;
  span.duration_us = total_us;
  span.operation = operation(request.dialect);
  if (what.prepared != nullptr) {
    span.model = what.prepared->model;
    span.scope = what.prepared->scope;
  }
  span.cache = what.cache;
  span.status = what.status;
  span.usage = what.usage;
  options_.tracer->record(std::move(span));
}

}  // namespace payonce::gateway
