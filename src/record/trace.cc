#include "record/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/json.hpp>
#include <deque>
#include <mutex>
#include <vector>

#include "base/hash.h"
#include "base/log.h"
#include "net/client.h"

namespace payonce::record {
namespace json = boost::json;
namespace {

bool is_hex(std::string_view text) { return text.find_first_not_of("0123456789abcdef") == std::string_view::npos; }
bool is_zero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

json::object attribute(std::string_view name, std::string_view value) {
  return {{"key", name}, {"value", json::object{{"stringValue", value}}}};
}
json::object attribute(std::string_view name, int64_t value) {
  return {{"key", name}, {"value", json::object{{"intValue", std::to_string(value)}}}};
}

json::object span_json(const Span& span) {
  json::array attributes{attribute("gen_ai.operation.name", span.operation),
                         attribute("gen_ai.request.model", span.model),
                         attribute("payonce.cache.outcome", span.cache), attribute("payonce.scope", span.scope),
                         attribute("http.response.status_code", span.status)};
  if (span.usage.known) {
    attributes.push_back(attribute("gen_ai.usage.input_tokens", span.usage.input()));
    attributes.push_back(attribute("gen_ai.usage.output_tokens", span.usage.output));
  }
  json::object out{{"traceId", span.context.trace_id},
                   {"spanId", span.context.span_id},
                   {"name", fmt::format("{} {}", span.operation, span.model)},
                   {"kind", 2},  // SERVER
                   {"startTimeUnixNano", std::to_string(span.start_unix_us * 1000)},
                   {"endTimeUnixNano", std::to_string((span.start_unix_us + span.duration_us) * 1000)},
                   {"attributes", std::move(attributes)},
                   {"status", json::object{{"code", span.status >= 500 || span.status == 499 ? 2 : 0}}}};
  if (!span.context.parent_id.empty()) out["parentSpanId"] = span.context.parent_id;
  return out;
}

// Collectors answer with little; only the outcome counts.
class Answer final : public net::ResponseSink {
 public:
  explicit Answer(std::function<void(bool)> done) : done_(std::move(done)) {}
  void on_head(net::ResponseHead head) override { good_ = head.status / 100 == 2; }
  void on_data(base::Bytes) override {}
  void on_end() override { done_(good_); }
  void on_error(base::Error, bool) override { done_(false); }

 private:
  std::function<void(bool)> done_;
  bool good_ = false;
};

}  // namespace

std::string TraceContext::header() const {
  return fmt::format("00-{}-{}-{}", trace_id, span_id, sampled ? "01" : "00");
}

TraceContext continue_trace(std::string_view header) {
  TraceContext out;
  out.span_id = base::random_hex(8);
  const bool shaped = header.size() >= 55 && header[2] == '-' && header[35] == '-' && header[52] == '-' &&
                      (header.size() == 55 || (header.size() > 55 && header[55] == '-' && !header.starts_with("00")));
  if (shaped) {
    const std::string_view version = header.substr(0, 2), trace = header.substr(3, 32),
                           parent = header.substr(36, 16), flags = header.substr(53, 2);
    if (is_hex(version) && version != "ff" && is_hex(trace) && !is_zero(trace) && is_hex(parent) &&
        !is_zero(parent) && is_hex(flags)) {
      out.trace_id = trace;
      out.parent_id = parent;
      out.sampled = (flags[1] >= 'a' ? flags[1] - 'a' + 10 : flags[1] - '0') % 2 == 1;
      return out;
    }
  }
  out.trace_id = base::random_hex(16);
  return out;
}

std::string otlp_json(const Span* spans, size_t count, std::string_view service) {
  json::array rows;
  for (size_t i = 0; i < count; ++i) rows.push_back(span_json(spans[i]));
  const json::object scope_spans{{"scope", json::object{{"name", "payonce"}}}, {"spans", std::move(rows)}};
  const json::object resource{{"attributes", json::array{attribute("service.name", service)}}};
  return json::serialize(
      json::object{{"resourceSpans",
                    json::array{json::object{{"resource", resource}, {"scopeSpans", json::array{scope_spans}}}}}});
}

struct Tracer::State : std::enable_shared_from_this<Tracer::State> {
  State(Options o, net::EventLoop& l, base::Metrics& metrics)
      : options(std::move(o)),
        loop(l),
        client(l, {}),
        timer(l.context()),
        dropped(metrics.counter("payonce_layer_faults_total", {{"layer", "trace"}})) {}
  void arm();
  void send();

  const Options options;
  net::EventLoop& loop;
  net::Client client;               // loop only
  boost::asio::steady_timer timer;  // loop only
  const base::Counter dropped;
  net::Origin origin;
  std::string target;
  bool sending = false;  // loop only
  bool complained = false;

  std::mutex mutex;
  std::deque<Span> queue;  // guarded by mutex
  bool stopped = false;    // guarded by mutex
};

void Tracer::State::arm() {
  timer.expires_after(std::chrono::milliseconds(options.interval_ms));
  timer.async_wait([weak = weak_from_this()](boost::system::error_code error) {
    const auto self = weak.lock();
    if (error || !self) return;
    self->send();
    self->arm();
  });
}

void Tracer::State::send() {
  if (sending) return;
  std::vector<Span> batch;
  {
    const std::lock_guard lock(mutex);
    while (!queue.empty() && batch.size() < options.batch) {
      batch.push_back(std::move(queue.front()));
      queue.pop_front();
    }
  }
  if (batch.empty()) return;
  sending = true;
  net::RequestHead head{.method = "POST", .target = target};
  head.headers.add("Content-Type", "application/json");
  const size_t count = batch.size();
  const auto done = [weak = weak_from_this(), count](bool good) {
    const auto self = weak.lock();
    if (!self) return;
    self->sending = false;
    if (good) return;
    self->dropped.add(static_cast<double>(count));
    if (!std::exchange(self->complained, true))
      base::log_warn("traces: {} does not take them; {} spans dropped", self->options.endpoint, count);
  };
  (void)client.send(origin, std::move(head), base::Bytes(otlp_json(batch.data(), count, options.service)),
                    {.connect_ms = 2'000, .first_byte_ms = 5'000, .idle_ms = 5'000}, std::make_shared<Answer>(done));
}

base::Result<std::unique_ptr<Tracer>> Tracer::make(Options options, net::EventLoop& loop, base::Metrics& metrics) {
  auto state = std::make_shared<State>(std::move(options), loop, metrics);
  std::string prefix;
  PAYONCE_TRY(state->origin, net::Origin::parse(state->options.endpoint, &prefix));
  state->target = prefix.ends_with("/v1/traces") ? prefix : prefix + "/v1/traces";
  loop.post([state] { state->arm(); });
  return std::unique_ptr<Tracer>(new Tracer(std::move(state)));
}

Tracer::Tracer(std::shared_ptr<State> state) : state_(std::move(state)) {}
Tracer::~Tracer() = default;

void Tracer::record(Span span) {
  if (!span.context.sampled) return;
  const std::lock_guard lock(state_->mutex);
  if (state_->queue.size() >= state_->options.queue_limit) {
    state_->queue.pop_front();
    state_->dropped.add();
  }
  state_->queue.push_back(std::move(span));
}

}  // namespace payonce::record
