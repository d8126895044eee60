#include "engine/api/api_call.h"

#include <utility>

namespace payonce::engine {
namespace {

// The engine's calls for one prompt of a request; choices are counted over all of them.
class PromptSink final : public Sink {
 public:
  PromptSink(std::shared_ptr<ApiCall> call, size_t prompt, int32_t n)
      : call_(std::move(call)), prompt_(prompt), n_(n) {}
  void prompt_logprobs(std::vector<TokenLogprob> of_tokens,
                       std::vector<std::vector<TokenLogprob>> likeliest) override {
    call_->push(
        PromptLogprobs{.prompt = prompt_, .of_tokens = std::move(of_tokens), .likeliest = std::move(likeliest)});
  }
  void started(EngineUsage usage) override { call_->push(PromptStarted{.usage = usage}); }
  void piece(Piece piece) override {
    piece.choice += first_choice();
    call_->push(std::move(piece));
  }
  void finished(Finished finished) override {
    if (finished.why == Finish::kCancelled) return fail_as_closing();
    finished.choice += first_choice();
    call_->push(std::move(finished));
  }
  void done(EngineUsage usage) override { call_->push(PromptDone{.usage = usage}); }
  void failed(base::Error error) override {
    if (error.code == base::Code::kCancelled) return fail_as_closing();
    call_->push(std::move(error));
  }

 private:
  int32_t first_choice() const { return static_cast<int32_t>(prompt_) * n_; }
  // A request that we cancelled ourselves is over before this comes; so the engine is going down.
  void fail_as_closing() { call_->fail({base::Code::kUnavailable, "the engine is shutting down"}); }

  const std::shared_ptr<ApiCall> call_;
  const size_t prompt_;
  const int32_t n_;
};

}  // namespace

ApiCall::ApiCall(std::shared_ptr<const EnginePort> engine, llm::Dialect dialect, net::EventLoop& loop,
                 std::shared_ptr<net::ResponseSink> sink, std::function<void()> over)
    : engine_(std::move(engine)), dialect_(dialect), loop_(loop), over_(std::move(over)), sink_(std::move(sink)) {}

void ApiCall::start(Prepared prepared) {
  {
    const std::lock_guard lock(mutex_);
    incoming_ = std::move(prepared.writer);
    incoming_prompts_ = prepared.generates.size();
  }
  for (size_t i = 0; i < prepared.generates.size(); ++i) {
    if (cancelled()) return;
    const int32_t n = prepared.generates[i].n;
    const auto id =
        engine_->submit(std::move(prepared.generates[i]), std::make_shared<PromptSink>(shared_from_this(), i, n));
    if (!id) return fail(id.error());
    bool late = false;
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(*id);
      late = closed_;
    }
    if (late) return engine_->cancel(*id);
  }
}

bool ApiCall::cancelled() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

void ApiCall::push(EngineEvent event) {
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    events_.push_back(std::move(event));
    if (std::exchange(scheduled_, true)) return;
  }
  loop_.post([self = shared_from_this()] { self->drain(); });
}

void ApiCall::drain() {
  std::vector<EngineEvent> events;
  {
    const std::lock_guard lock(mutex_);
    scheduled_ = false;
    if (paused_ || !sink_) return;
    events.swap(events_);
    if (incoming_) {
      writer_ = std::move(incoming_);
      prompts_left_ = incoming_prompts_;
    }
  }
  for (EngineEvent& event : events) {
    if (!sink_) return;
    handle(event);
  }
  if (!sink_ || !writer_ || !writer_->streams() || prompts_left_ == 0) return;
  writer_->flush(out_);
  send_stream_data();
}

void ApiCall::handle(EngineEvent& event) {
  if (auto* piece = std::get_if<Piece>(&event)) return writer_->piece(std::move(*piece), out_);
  if (auto* finished = std::get_if<Finished>(&event)) return writer_->finished(*finished, out_);
  if (auto* logprobs = std::get_if<PromptLogprobs>(&event))
    return writer_->prompt_logprobs(logprobs->prompt, std::move(logprobs->of_tokens), std::move(logprobs->likeliest));
  if (auto* error = std::get_if<base::Error>(&event)) return end_with_error(*error);
  if (auto* whole = std::get_if<Answer>(&event)) return send_whole(std::move(*whole));
  if (auto* started = std::get_if<PromptStarted>(&event)) return writer_->started(started->usage);
  const EngineUsage& usage = std::get<PromptDone>(event).usage;
  usage_.prompt_tokens += usage.prompt_tokens;
  usage_.cached_tokens += usage.cached_tokens;
  usage_.written_tokens += usage.written_tokens;
  usage_.completion_tokens += usage.completion_tokens;
  if (--prompts_left_ > 0) return;
  writer_->done(usage_, out_);
  if (!writer_->streams()) return send_whole(json_answer(dialect_, std::move(out_)));
  send_stream_data();
  if (sink_) end();
}

void ApiCall::send_stream_data() {
  if (out_.empty()) return;
  const auto sink = sink_;
  if (!std::exchange(head_sent_, true)) sink->on_head(stream_head(dialect_));
  if (sink_) sink->on_data(base::Bytes(std::exchange(out_, {})));
}

void ApiCall::send_whole(Answer whole) {
  const auto sink = sink_;
  head_sent_ = true;
  sink->on_head(std::move(whole.head));
  if (sink_ && !whole.body.empty()) sink->on_data(std::move(whole.body));
  if (sink_) end();
}

void ApiCall::end_with_error(const base::Error& error) {
  close(/*cancel_requests=*/true);
  if (!head_sent_) return send_whole(error_answer(dialect_, error));
  writer_->flush(out_);
  out_ += writer_->error_event(error);
  send_stream_data();
  if (sink_) end();
}

void ApiCall::end() {
  const auto sink = std::exchange(sink_, nullptr);
  close(/*cancel_requests=*/false);  // all are over, or were cancelled with the error
  writer_.reset();
  sink->on_end();
}

// From here on the engine's events go nowhere.
void ApiCall::close(bool cancel_requests) {
  std::vector<RequestId> running;
  std::function<void()> over;
  {
    const std::lock_guard lock(mutex_);
    if (!std::exchange(closed_, true) && cancel_requests) running.swap(requests_);
    events_.clear();
    incoming_.reset();
    over.swap(over_);
  }
  for (const RequestId id : running) engine_->cancel(id);
  if (over) over();
}

void ApiCall::cancel() {
  if (!sink_) return;
  sink_.reset();
  close(/*cancel_requests=*/true);
  writer_.reset();
}

void ApiCall::pause() { paused_ = true; }

void ApiCall::resume() {
  if (!std::exchange(paused_, false)) return;
  {
    const std::lock_guard lock(mutex_);
    if (closed_ || events_.empty() || std::exchange(scheduled_, true)) return;
  }
  loop_.post([self = shared_from_this()] { self->drain(); });
}

}  // namespace payonce::engine
