// Texts that wait for an embedder: bounded, counted, answered once. What the local and the remote one share.
// Threads: add() any; take() the embedder's threads; close() once, by the owner.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "embed/embedder.h"

namespace payonce::embed {

struct WaitingText {
  using Clock = std::chrono::steady_clock;
  std::string text;
  Embedder::Done done;
  Clock::time_point since;
};

class Waiting {
 public:
  // `limit`: texts. `metrics`: null counts nothing.
  Waiting(size_t limit, base::Metrics* metrics);

  base::Status add(std::string text, Embedder::Done done);  // kInvalid: empty; kExhausted: full; kUnavailable: closed
  // Waits for a text, and takes those that came with it: at most `limit` and as many as `fits` says, one at least.
  // Empty: closed.
  std::vector<WaitingText> take(size_t limit, const std::function<bool(const WaitingText&)>& fits);
  // The same without waiting; empty: none waits.
  std::vector<WaitingText> take_now(size_t limit, const std::function<bool(const WaitingText&)>& fits);
  // Answers what was taken, and counts.
  void answer(WaitingText& waiting, base::Result<Embedding> result);
  void computed(WaitingText::Clock::time_point since);  // a batch, since it was taken

  // No more comes in, take() gives nothing, and what waits is answered with kUnavailable, here.
  void close();

 private:
  std::vector<WaitingText> take_some(size_t limit, const std::function<bool(const WaitingText&)>& fits);  // locked

  const size_t limit_;
  base::Gauge queue_;
  base::Histogram wait_seconds_, compute_seconds_;
  base::Counter embedded_, refused_, failed_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<WaitingText> texts_;  // guarded by mutex_
  bool closed_ = false;            // guarded by mutex_
};

}  // namespace payonce::embed
