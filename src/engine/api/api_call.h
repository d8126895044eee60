// One request on its way: read on the worker pool, computed by the engine, written on its loop.
//
// The engine's events are queued and one job on the loop takes all that are there, so that a loop that is late writes
// bigger pieces instead of more of them. While the client is slow (pause()) the queue grows by at most one answer.
// Threads: start(), push(), fail() any; the Call's methods the loop's.  Owner: the pool's job, the engine's sinks and
// the user share it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <variant>
#include <vector>

#include "engine/api/errors.h"
#include "engine/api/ports.h"
#include "engine/api/requests.h"
#include "net/client.h"
#include "net/event_loop.h"

namespace payonce::engine {

struct PromptLogprobs {
  size_t prompt = 0;
  std::vector<TokenLogprob> of_tokens;
  std::vector<std::vector<TokenLogprob>> likeliest;
};
struct PromptStarted {
  EngineUsage usage;
};
struct PromptDone {
  EngineUsage usage;
};
using EngineEvent = std::variant<PromptLogprobs, PromptStarted, Piece, Finished, PromptDone, base::Error, Answer>;

class ApiCall final : public net::Call, public std::enable_shared_from_this<ApiCall> {
 public:
  // `dialect` is that of errors. `over`: called once, on any thread, when nothing more will come.
  ApiCall(std::shared_ptr<const EnginePort> engine, llm::Dialect dialect, net::EventLoop& loop,
          std::shared_ptr<net::ResponseSink> sink, std::function<void()> over);

  // Hands the request to the engine, prompt by prompt; the first that it refuses ends them all.
  void start(Prepared prepared);
  void push(EngineEvent event);
  void fail(base::Error error) { push(std::move(error)); }
  void answer(Answer whole) { push(std::move(whole)); }
  bool cancelled() const;
  // The engine's part ends, and nothing more reaches the loop, which is told nothing.
  void detach() { close(/*cancel_requests=*/true); }

  void cancel() override;
  void pause() override;
  void resume() override;

 private:
  void drain();
  void handle(EngineEvent& event);
  void send_stream_data();
  void send_whole(Answer whole);
  void end_with_error(const base::Error& error);
  void end();
  void close(bool cancel_requests);

  const std::shared_ptr<const EnginePort> engine_;
  const llm::Dialect dialect_;
  net::EventLoop& loop_;

  mutable std::mutex mutex_;
  std::vector<EngineEvent> events_;         // guarded by mutex_
  std::vector<RequestId> requests_;         // guarded by mutex_
  std::unique_ptr<AnswerWriter> incoming_;  // guarded by mutex_; the loop takes it with the first event
  size_t incoming_prompts_ = 0;             // guarded by mutex_
  bool scheduled_ = false;                  // guarded by mutex_: a drain() is on its way
  bool closed_ = false;                     // guarded by mutex_: nothing more is wanted
  std::function<void()> over_;              // guarded by mutex_

  // The loop's.
  std::shared_ptr<net::ResponseSink> sink_;  // null: over
  std::unique_ptr<AnswerWriter> writer_;
  size_t prompts_left_ = 0;
  EngineUsage usage_;
  std::string out_;
  bool head_sent_ = false;
  bool paused_ = false;
};

}  // namespace payonce::engine
