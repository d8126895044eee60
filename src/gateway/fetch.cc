#include "gateway/fetch.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "gateway/answer_headers.h"
#include "llm/response.h"
#include "net/local_service.h"

namespace payonce::gateway {
namespace {

// Larger answers are read and stored on the worker pool instead of the event loop.
constexpr uint64_t kInlineRecordLimit_bytes = 64 * 1024;

std::minstd_rand& jitter() {
  thread_local std::minstd_rand random(std::random_device{}());
  return random;
}

// Retry-After in seconds (RFC 9110 10.2.3); a date is not what LLM providers send.
int64_t retry_after_ms(const net::Headers& headers) {
  const std::string_view text = headers.get("retry-after").value_or("");
  int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  return error == std::errc() && seconds > 0 && seconds < 86'400 ? seconds * 1000 : 0;
}

}  // namespace

Fetch::Fetch(net::EventLoop& loop, Upstreams& upstreams, const base::Clock& clock,
             std::shared_ptr<cache::Flight> flight, Job job, Hooks hooks)
    : loop_(loop),
      upstreams_(upstreams),
      clock_(clock),
      flight_(std::move(flight)),
      job_(std::move(job)),
      hooks_(std::move(hooks)),
      pause_(loop.context()),
      retry_(job_.forward.policy->retry, job_.forward.candidates) {}

void Fetch::start() {
  holding_ = hooks_.hold && hooks_.hold([self = shared_from_this()] { self->loop_.post([self] { self->go_on(); }); });
  if (!holding_) return attempt();
  pause_.expires_after(std::chrono::milliseconds(hooks_.hold_ms));
  pause_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error) self->go_on();
  });
}

void Fetch::go_on() {
  if (!std::exchange(holding_, false) || over_) return;
  pause_.cancel();
  attempt();
}

void Fetch::tell_begun() {
  if (!std::exchange(begun_, true) && hooks_.begun) hooks_.begun();
}

void Fetch::cancel() {
  if (!loop_.in_loop_thread()) {
    loop_.post([self = shared_from_this()] { self->cancel(); });
    return;
  }
  if (over_) return;
  over_ = true;
  tell_begun();
  end_try();
  pause_.cancel();
  if (call_) call_->cancel();
  if (hooks_.ended) hooks_.ended();
  flight_->fail({base::Code::kCancelled, "every client left before the answer was complete"});
}

const base::Bytes& Fetch::body_for(const route::UpstreamPtr& upstream) const {
  const pipeline::Forward& forward = job_.forward;
  const bool planned = forward.prefix && forward.prefix->body && upstream == forward.candidates.front();
  return planned ? *forward.prefix->body : job_.body;
}

void Fetch::attempt() {
  current_ = retry_.next(clock_.unix_ms());
  if (job_.forward.trip) job_.forward.trip->began(current_, clock_.monotonic_us());
  net::RequestHead head{.method = job_.head.method, .target = job_.head.target};
  head.headers = upstream_headers(job_.head.headers, *current_, job_.dialect);
  if (!job_.traceparent.empty()) head.headers.set("traceparent", job_.traceparent);
  if (current_->local != nullptr) {
    call_ = current_->local->send(std::move(head), body_for(current_), job_.forward.scope, loop_, shared_from_this());
    return;
  }
  auto destination = upstreams_.destination(current_, job_.head.target, job_.dialect, job_.forward.wire);
  if (!destination) return give_up(std::move(destination.error()));
  head.target = std::move(destination->target);
  const net::CallTimeouts timeouts{.connect_ms = current_->connect_timeout_ms,
                                   .first_byte_ms = current_->first_byte_timeout_ms,
                                   .idle_ms = current_->idle_timeout_ms};
  call_ = destination->client->send(destination->origin, std::move(head), body_for(current_), timeouts,
                                    shared_from_this());
}

void Fetch::end_try() {
  if (job_.forward.trip) job_.forward.trip->ended();
}

bool Fetch::try_again(const route::RetryState::Failure& failure) {
  if (relayed_) return false;
  const auto pause_ms = retry_.pause_ms(failure, jitter());
  if (!pause_ms) return false;
  end_try();
  pause_.expires_after(std::chrono::milliseconds(*pause_ms));
  pause_.async_wait([self = shared_from_this()](boost::system::error_code error) {
    if (!error && !self->over_) self->attempt();
  });
  return true;
}

// Told to the operator once, not for each request and probe.
void Fetch::upstream_failed(std::string_view why) {
  const auto& [failures, open_ms] = current_->breaker->options();
  if (current_->breaker->failed(clock_.unix_ms()))
    base::log_warn("upstream '{}' failed {} times in a row and is left alone for {} s: {}", current_->name, failures,
                   open_ms / 1000, why);
}

bool Fetch::is_recordable(const net::ResponseHead& head) const {
  if (!job_.forward.prepared || head.status != 200 || head.headers.get("content-encoding")) return false;
  return has_type(head.headers, "application/json") || has_type(head.headers, "text/event-stream");
}

void Fetch::on_head(net::ResponseHead head) {
  if (over_) return;
  if (head.status >= 400) hooks_.count_error(current_->name, std::to_string(head.status));
  if (head.status >= 500)
    upstream_failed(fmt::format("it answers {}", head.status));
  else if (current_->breaker->succeeded())
    base::log_info("upstream '{}' answers again", current_->name);
  if (head.status >= 400 &&
      try_again({.status = head.status, .sent = true, .retry_after_ms = retry_after_ms(head.headers)})) {
    call_->cancel();
    return;
  }
  recordable_ = is_recordable(head);
  streamed_ = recordable_ && has_type(head.headers, "text/event-stream");
  relayed_ = true;
  tell_begun();
  first_byte_us_ = clock_.monotonic_us();
  if (head.status < 400 && job_.forward.trip) job_.forward.trip->answered(clock_.unix_ms(), first_byte_us_);
  flight_->mark_stored(recordable_ && job_.forward.store);
  flight_->head(std::move(head));
}

void Fetch::on_data(base::Bytes chunk) {
  if (over_) return;
  const auto at_ms = static_cast<uint32_t>((clock_.monotonic_us() - first_byte_us_) / 1000);
  const bool last = streamed_ && !recorded_ && llm::ends_stream(job_.dialect, chunk.view());
  flight_->append(std::move(chunk), at_ms);
  if (last && flight_->recordable())
    record();
  else
    flight_->wake();
  if (over_ || !flight_->writer_should_pause()) return;  // over: the last reader left while it was woken
  call_->pause();
  flight_->on_writer_resume([weak = weak_from_this(), &loop = loop_] {
    loop.post([weak] {
      if (const auto self = weak.lock(); self && !self->over_ && self->call_) self->call_->resume();
    });
  });
}

void Fetch::on_end() {
  if (over_) return;
  ended_ = true;
  if (recordable_ && !recorded_ && flight_->recordable()) return record();
  finish();
}

void Fetch::on_error(base::Error error, bool sent) {
  if (over_) return;
  hooks_.count_error(current_->name, std::string(base::code_name(error.code)));
  upstream_failed(error.message);
  if (try_again({.sent = sent})) return;
  error.message = fmt::format("upstream '{}': {}", current_->name, error.message);
  give_up(std::move(error));
}

// The answer is stored before a client sees its end: who has it and asks again, finds it. Equal requests that come in
// between join the flight, which stands in its table until then. What else there is to do comes after the client.
void Fetch::record() {
  recorded_ = true;
  cache::Flight::Recording recording = flight_->recording();
  pipeline::Recorded recorded{.status = recording.head.status,
                              .content_type = std::string(recording.head.headers.get("content-type").value_or("")),
                              .body = std::move(recording.body),
                              .pace_ms = std::move(recording.pace_ms),
                              .pace_offset = std::move(recording.pace_offset)};
  if (recorded.body.size() > kInlineRecordLimit_bytes)
    return record_on_pool(std::make_shared<pipeline::Recorded>(std::move(recorded)));
  const pipeline::Kept kept = hooks_.keep(job_.forward, std::move(recorded));
  tell(kept.judged);
  hooks_.settle(job_.forward, kept);
}

void Fetch::record_on_pool(std::shared_ptr<pipeline::Recorded> recorded) {
  recording_ = true;
  const bool queued = hooks_.post_to_pool([self = shared_from_this(), recorded] {
    const auto kept =
        std::make_shared<const pipeline::Kept>(self->hooks_.keep(self->job_.forward, std::move(*recorded)));
    self->loop_.post([self, kept] { self->tell(kept->judged); });
    self->hooks_.settle(self->job_.forward, *kept);
  });
  if (!queued) tell({});
}

void Fetch::tell(const pipeline::Judged& judged) {
  recording_ = false;
  if (hooks_.judged) hooks_.judged(judged);
  flight_->mark_stored(judged.store);
  if (ended_)
    finish();
  else
    flight_->wake();
}

void Fetch::finish() {
  if (over_ || recording_) return;
  over_ = true;
  end_try();
  if (hooks_.ended) hooks_.ended();
  flight_->finish();
}

void Fetch::give_up(base::Error error) {
  if (over_) return;
  over_ = true;
  tell_begun();
  end_try();
  flight_->mark_stored(false);
  if (hooks_.ended) hooks_.ended();  // first: who asks again must start anew
  flight_->fail(std::move(error));
}

}  // namespace payonce::gateway
