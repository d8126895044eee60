#include "gateway/retrieval_proxy.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "gateway/answer_headers.h"
#include "gateway/store_call.h"
#include "identity/canonical.h"
#include "llm/error_body.h"
#include "net/local_service.h"

namespace payonce::gateway {
namespace {

using retrieval::Act;
using retrieval::Rule;
using Write = retrieval::RetrievalStage::Write;

// Fields that cannot change a result list, or are the credential, which is the scope. Any other counts.
constexpr std::array<std::string_view, 19> kTransport = {
    "accept-encoding",  "accept-language", "authorization", "api-key",   "cache-control", "connection",
    "content-encoding", "content-length",  "content-type",  "date",      "host",          "pragma",
    "traceparent",      "tracestate",      "user-agent",    "x-api-key", "x-request-id",  "x-correlation-id",
    "forwarded"};

bool counts(std::string_view name) {
  constexpr std::string_view kOurs = "x-payonce-";
  if (name.size() >= kOurs.size() && net::equals_ignoring_case(name.substr(0, kOurs.size()), kOurs)) return false;
  return std::ranges::none_of(kTransport,
                              [&](std::string_view known) { return net::equals_ignoring_case(known, name); });
}

// The fields that count, sorted, each with its length in front.
std::string counting_fields(const net::Headers& headers) {
  std::vector<std::string> lines;
  headers.for_each([&](std::string_view name, std::string_view value) {
    if (counts(name)) lines.push_back(fmt::format("{}:{}:{}\n", base::lowered(name), value.size(), value));
  });
  std::ranges::stable_sort(lines);
  std::string out;
  for (const std::string& line : lines) out += line;
  return out;
}

bool is_plain_json(const net::ResponseHead& head) {
  return has_type(head.headers, "application/json") && !head.headers.get("content-encoding");
}

// Of what a store sent.
void clean(net::Headers& headers) {
  keep_off_our_origin(headers);
  for (const std::string_view ours : {"cache-status", "age", "x-payonce-retrieval"}) headers.remove(ours);
}

}  // namespace

// One request on its way.
struct RetrievalProxy::Visit {
  std::shared_ptr<net::Exchange> exchange;
  const VectorStore& store;
  Upstreams& upstreams;
  Done done;
  std::string scope;   // the caller's
  std::string target;  // below the store's base URL
  pipeline::Directives directives;
  Timing timing;
  int64_t started_us = 0;
  MissStatus status{.why = pipeline::Forwarded::kBypass, .detail = "retrieval"};
};

RetrievalProxy::RetrievalProxy(Parts parts, std::vector<VectorStore> stores, size_t max_in_flight)
    : parts_(parts), stores_(std::move(stores)), max_in_flight_(max_in_flight) {}

const VectorStore* RetrievalProxy::store_of(std::string_view target) const {
  const VectorStore* out = nullptr;
  for (const VectorStore& store : stores_) {
    const bool below = target.starts_with(store.prefix) &&
                       (target.size() == store.prefix.size() || target[store.prefix.size()] == '/' ||
                        target[store.prefix.size()] == '?');
    if (below && (out == nullptr || out->prefix.size() < store.prefix.size())) out = &store;
  }
  return out;
}

void RetrievalProxy::count(const VectorStore& store, std::string_view outcome) const {
  parts_.metrics
      .counter("payonce_requests_total", {{"dialect", std::string(retrieval::kind_name(store.rules.kind))},
                                          {"layer", "retrieval"},
                                          {"outcome", std::string(outcome)}})
      .add();
}

void RetrievalProxy::handle(const std::shared_ptr<net::Exchange>& exchange, const VectorStore& store,
                            Upstreams& upstreams, Done done) {
  const net::RequestHead& head = exchange->head();
  const auto visit = std::make_shared<Visit>(
      Visit{.exchange = exchange, .store = store, .upstreams = upstreams, .done = std::move(done)});
  visit->started_us = parts_.clock.monotonic_us();
  visit->target = head.target.substr(store.prefix.size());
  if (!visit->target.starts_with('/')) visit->target.insert(visit->target.begin(), '/');
  const auto caller = parts_.pipeline.policy()->callers.identify(head.headers);
  if (!caller) return refuse(visit, base::code_http_status(caller.error().code), caller.error().message, "auth");
  visit->scope = caller->scope_id;
  const auto directives = pipeline::parse_directives(head.headers);
  if (!directives) return refuse(visit, 400, directives.error().message, "bad");
  visit->directives = *directives;
  if (in_flight_.load(std::memory_order_relaxed) >= max_in_flight_)
    return refuse(visit, 429, "too many requests are waiting for vector stores (limits.max_in_flight)", "limit");

  retrieval::Classified classified = classify(store.rules, {.method = head.method,
                                                            .target = visit->target,
                                                            .body = exchange->body().view(),
                                                            .readable = !directives->encoded});
  if (classified.act == Act::kQuery && directives->exact) return query(visit, std::move(classified));
  pass(visit, classified);
}

void RetrievalProxy::query(const std::shared_ptr<Visit>& visit, retrieval::Classified classified) {
  const net::Headers& headers = visit->exchange->head().headers;
  auto versions = identity::versions_of(headers);
  if (!versions) return refuse(visit, 400, versions.error().message, "bad");
  const pipeline::Directives& wanted = visit->directives;
  const auto asked = parts_.stage.start(visit->store.rules,
                                        {.scope = visit->scope,
                                         .versions = *std::move(versions),
                                         .method = visit->exchange->head().method,
                                         .target = visit->target,
                                         .fields = counting_fields(headers),
                                         .text = std::string(headers.get("x-payonce-query").value_or("")),
                                         .read = !wanted.no_cache,
                                         .paraphrase = wanted.semantic,
                                         .write = !wanted.no_store,
                                         .ttl_s = wanted.ttl_s,
                                         .max_age_s = wanted.max_age_s},
                                        std::move(classified));
  parts_.stage.look_up(asked, [self = shared_from_this(), visit, asked](retrieval::Outcome outcome) {
    net::EventLoop& loop = visit->exchange->loop();
    if (loop.in_loop_thread()) return self->decided(visit, asked, std::move(outcome));
    loop.post([self, visit, asked, outcome = std::move(outcome)] { self->decided(visit, asked, outcome); });
  });
}

void RetrievalProxy::decided(const std::shared_ptr<Visit>& visit, const retrieval::AskedPtr& asked,
                             retrieval::Outcome outcome) {
  visit->timing.lookup_us = parts_.clock.monotonic_us() - visit->started_us;
  if (outcome.rule != Rule::kNone) return answer(visit, std::move(outcome));
  visit->status.why = outcome.missed == "no_cache"  ? pipeline::Forwarded::kRequest
                      : outcome.missed == "expired" ? pipeline::Forwarded::kStale
                                                    : pipeline::Forwarded::kMiss;
  if (visit->directives.only_if_cached)
    return refuse(visit, 504, "nothing stored answers this query (Cache-Control: only-if-cached)", "only_if_cached");
  fetch(visit, asked);
}

void RetrievalProxy::answer(const std::shared_ptr<Visit>& visit, retrieval::Outcome outcome) {
  net::ResponseHead head;
  head.headers.add("Content-Type", outcome.content_type);
  std::string status = fmt::format("payonce; hit; ttl={}; detail=retrieval", outcome.ttl_s);
  if (outcome.rule != Rule::kEqual)
    status += fmt::format("; similarity={:.3f}", std::clamp(outcome.similarity, 0.0F, 1.0F));
  head.headers.add("Cache-Status", status);
  head.headers.add("Age", std::to_string(outcome.age_s));
  head.headers.add("X-Payonce-Retrieval", retrieval::rule_name(outcome.rule));
  head.headers.add("Server-Timing",
                   fmt::format("lookup;dur={:.3f}", static_cast<double>(visit->timing.lookup_us) / 1000));
  visit->exchange->respond(std::move(head), outcome.body);
  count(visit->store, "hit");
  visit->done(200, "hit");
}

void RetrievalProxy::fetch(const std::shared_ptr<Visit>& visit, const retrieval::AskedPtr& asked) {
  count(visit->store, "miss");
  const auto self = shared_from_this();
  StoreCall::Hooks hooks;
  hooks.head = [self, visit, asked](net::ResponseHead& head) {
    const bool kept = head.status == 200 && is_plain_json(head);
    visit->timing.upstream_us = self->parts_.clock.monotonic_us() - visit->started_us;
    visit->status.upstream_status = head.status;
    visit->status.stored = kept && asked->store;
    clean(head.headers);
    add_miss_headers(head.headers, visit->status, visit->timing);
    return kept;
  };
  hooks.whole = [self, asked](std::string body, std::string content_type) {
    self->parts_.stage.settle(asked, std::move(body), std::move(content_type));
  };
  hooks.failed = [visit](net::ResponseHead& head) { add_miss_headers(head.headers, visit->status, visit->timing); };
  hooks.done = [self, visit](int status) {
    self->in_flight_.fetch_sub(1, std::memory_order_relaxed);
    visit->done(status, "miss");
  };
  send(visit, true, std::make_shared<StoreCall>(visit->exchange, std::move(hooks)));
}

void RetrievalProxy::pass(const std::shared_ptr<Visit>& visit, const retrieval::Classified& classified) {
  count(visit->store, "bypass");
  const auto self = shared_from_this();
  const auto written = [self, visit, act = classified.act, collection = classified.collection](Write what) {
    if (act == Act::kWrite) self->parts_.stage.written(visit->store.rules, collection, what);
  };
  const auto applied = classified.applied_later ? Write::kAnswered : Write::kApplied;
  const auto answered = std::make_shared<bool>(false);
  StoreCall::Hooks hooks;
  hooks.head = [self, visit, written, applied, answered](net::ResponseHead& head) {
    visit->timing.upstream_us = self->parts_.clock.monotonic_us() - visit->started_us;
    visit->status.upstream_status = head.status;
    clean(head.headers);
    add_miss_headers(head.headers, visit->status, visit->timing);
    // Before the client knows: what it reads next must see what it wrote.
    written(head.status < 500 ? applied : Write::kUnknown);
    *answered = true;
    return false;
  };
  hooks.whole = [](std::string, std::string) {};
  hooks.failed = [visit](net::ResponseHead& head) { add_miss_headers(head.headers, visit->status, visit->timing); };
  hooks.done = [self, visit, written, answered](int status) {
    if (!*answered) written(Write::kUnknown);
    self->in_flight_.fetch_sub(1, std::memory_order_relaxed);
    visit->done(status, "bypass");
  };
  written(Write::kSent);
  send(visit, false, std::make_shared<StoreCall>(visit->exchange, std::move(hooks)));
}

// `readable`: we keep the answer, so it must come unencoded.
void RetrievalProxy::send(const std::shared_ptr<Visit>& visit, bool readable, std::shared_ptr<StoreCall> call) {
  in_flight_.fetch_add(1, std::memory_order_relaxed);
  const route::Upstream& upstream = *visit->store.upstream;
  const net::RequestHead& from = visit->exchange->head();
  net::RequestHead head{.method = from.method, .target = visit->target};
  head.headers = upstream_headers(from.headers, upstream, llm::Dialect::kOther);
  if (readable) head.headers.set("Accept-Encoding", "identity");
  const auto exchange = visit->exchange;
  if (upstream.local != nullptr)
    return call->start([&](std::shared_ptr<net::ResponseSink> sink) {
      return upstream.local->send(std::move(head), exchange->body(), visit->scope, exchange->loop(), std::move(sink));
    });
  auto destination = visit->upstreams.destination(visit->store.upstream, visit->target, llm::Dialect::kOther,
                                                  route::UpstreamKind::kAnthropic);
  if (!destination) return call->fail(destination.error());
  head.target = destination->target;
  const net::CallTimeouts timeouts{.connect_ms = upstream.connect_timeout_ms,
                                   .first_byte_ms = upstream.first_byte_timeout_ms,
                                   .idle_ms = upstream.idle_timeout_ms};
  call->start([&](std::shared_ptr<net::ResponseSink> sink) {
    return destination->client->send(destination->origin, std::move(head), exchange->body(), timeouts,
                                     std::move(sink));
  });
}

void RetrievalProxy::refuse(const std::shared_ptr<Visit>& visit, int status, std::string_view message,
                            std::string_view reason) {
  net::ResponseHead head{.status = status};
  head.headers.add("Content-Type", "application/json");
  head.headers.add("Cache-Status", reason == "only_if_cached" ? "payonce; fwd=miss; detail=only-if-cached"
                                                              : "payonce; fwd=request; detail=refused");
  parts_.metrics.counter("payonce_rejected_total", {{"reason", std::string(reason)}}).add();
  visit->exchange->respond(std::move(head), base::Bytes(llm::error_body(llm::Dialect::kOther, status, message)));
  visit->done(status, "refused");
}

}  // namespace payonce::gateway
