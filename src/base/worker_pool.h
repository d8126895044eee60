// The one bounded pool for slow work (compression, disk, embedding, ledger), so that event loops never block.
// Threads: post() any. Jobs run in order of arrival, on several threads; they must not throw (a throw is logged and
// dropped). The destructor runs what is queued, then joins.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace payonce::base {

class WorkerPool {
 public:
  struct Options {
    size_t threads = 1;
    size_t queue_limit = 4096;  // jobs
    bool waited_for = false;    // a caller waits for its jobs; else they give way where they share a core
  };
  explicit WorkerPool(Options options);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // False when the queue is full: the caller does without (a cache write is dropped, a disk read becomes a miss).
  [[nodiscard]] bool post(std::function<void()> job);
  size_t queued() const;
  // Waits until every job posted so far has run. For tests and for shutting down.
  void drain();

 private:
  void run();

  const Options options_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable idle_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_
  size_t running_ = 0;                      // guarded by mutex_
  bool stopping_ = false;                   // guarded by mutex_
  std::vector<std::thread> threads_;
};

}  // namespace payonce::base
