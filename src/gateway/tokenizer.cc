#include "gateway/tokenizer.h"

#include <fmt/format.h>

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <utility>

#include "base/log.h"

namespace payonce::gateway {
namespace {

constexpr net::CallTimeouts kTokenizeTimeouts{.connect_ms = 1'000, .first_byte_ms = 5'000, .idle_ms = 5'000};
constexpr size_t kMaxTokens_bytes = 16 << 20;

net::Headers question_headers(const net::Headers& from_client, const route::Upstream& upstream) {
  net::Headers out;
  out.add("Content-Type", "application/json");
  const net::Headers all = upstream_headers(from_client, upstream, llm::Dialect::kOpenAiChat);
  for (const std::string_view credential : {"authorization", "x-api-key", "api-key"})
    if (const auto value = all.get(credential)) out.add(credential, *value);
  return out;
}

}  // namespace

struct Tokenizer::Shared {
  Shared(pipeline::Pipeline& p, const base::Clock& c, base::Metrics& metrics)
      : pipeline(p),
        clock(c),
        in_time(metrics.counter("payonce_route_tokenize_total", {{"outcome", "in_time"}})),
        late(metrics.counter("payonce_route_tokenize_total", {{"outcome", "late"}})),
        failed(metrics.counter("payonce_route_tokenize_total", {{"outcome", "failed"}})) {}
  struct Engine {
    bool late = false;          // its last answer
    int64_t not_before_us = 0;  // it failed
  };
  pipeline::Pipeline& pipeline;
  const base::Clock& clock;
  const base::Counter in_time, late, failed;
  std::unordered_map<std::string, Engine> engines;  // by URL
  size_t calls = 0;
};

// One call, and the request that waits for it.
class Tokenizer::Sink final : public net::ResponseSink, public std::enable_shared_from_this<Sink> {
 public:
  Sink(net::EventLoop& loop, std::shared_ptr<Shared> shared, pipeline::TokenQuestion question,
       std::function<void()> go_on)
      : shared_(std::move(shared)), question_(std::move(question)), go_on_(std::move(go_on)), timer_(loop.context()) {
    ++shared_->calls;
  }
  ~Sink() override { --shared_->calls; }

  void wait(int64_t within_ms) {
    timer_.expires_after(std::chrono::milliseconds(within_ms));
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error) self->go_on();
    });
  }
  void go_on() {
    if (const auto then = std::exchange(go_on_, nullptr)) then();
  }
  void on_head(net::ResponseHead head) override { status_ = head.status; }
  void on_data(base::Bytes chunk) override {
    if (body_.size() + chunk.size() <= kMaxTokens_bytes) body_.append(chunk.view());
  }
  void on_end() override {
    auto tokens = status_ == 200 ? pipeline::tokens_in(body_) : std::nullopt;
    if (!tokens) return fail(fmt::format("status {}, or no tokens", status_));
    const bool late = go_on_ == nullptr;
    Shared::Engine& engine = shared_->engines[url()];
    // Whether it was waited for or not.
    engine.late = late && shared_->clock.monotonic_us() - began_us_ > within_us_;
    (engine.late ? shared_->late : shared_->in_time).add();
    shared_->pipeline.tokens_came(question_, *std::move(tokens));
    end();
  }
  void on_error(base::Error error, bool) override { fail(error.message); }
  void fail(std::string_view why) {
    base::log_info("{}/tokenize: {}; requests go without it for {} s", url(), why, kPause_us / 1'000'000);
    shared_->engines[url()].not_before_us = shared_->clock.monotonic_us() + kPause_us;
    shared_->failed.add();
    end();
  }
  void began(int64_t now_us, int64_t within_ms) {
    began_us_ = now_us;
    within_us_ = within_ms * 1000;
  }

 private:
  const std::string& url() const { return question_.upstream->base_url; }
  void end() {
    timer_.cancel();
    go_on();
  }

  const std::shared_ptr<Shared> shared_;
  const pipeline::TokenQuestion question_;
  std::function<void()> go_on_;
  boost::asio::steady_timer timer_;
  int64_t began_us_ = 0, within_us_ = 0;
  int status_ = 0;
  std::string body_;
};

Tokenizer::Tokenizer(net::EventLoop& loop, Upstreams& upstreams, pipeline::Pipeline& pipeline,
                     const base::Clock& clock, base::Metrics& metrics)
    : loop_(loop), upstreams_(upstreams), shared_(std::make_shared<Shared>(pipeline, clock, metrics)) {}
Tokenizer::~Tokenizer() = default;

void Tokenizer::ask(pipeline::TokenQuestion question, const net::RequestHead& head, int64_t within_ms,
                    std::function<void()> go_on) {
  const Shared::Engine engine = shared_->engines[question.upstream->base_url];
  const int64_t now_us = shared_->clock.monotonic_us();
  // An unknown path below the host, not below /v1: so the request's own way there finds it.
  auto destination =
      upstreams_.destination(question.upstream, "/tokenize", llm::Dialect::kOther, route::UpstreamKind::kOpenAi);
  if (shared_->calls >= kMaxCalls || now_us < engine.not_before_us || !destination) return go_on();
  net::RequestHead ask{.method = "POST", .target = std::move(destination->target)};
  ask.headers = question_headers(head.headers, *question.upstream);
  const base::Bytes body(std::move(question.body));
  const auto sink = std::make_shared<Sink>(loop_, shared_, std::move(question), std::move(go_on));
  sink->began(now_us, within_ms);
  (void)destination->client->send(destination->origin, std::move(ask), body, kTokenizeTimeouts, sink);
  engine.late ? sink->go_on() : sink->wait(within_ms);
}

}  // namespace payonce::gateway
