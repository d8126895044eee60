// Opens once; work that needs it open runs at once or when it opens.
// Threads: all any. Work runs on the thread that opens it, or that brings it later.  Owner: whoever holds both sides.
#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace payonce::base {

class Gate {
 public:
  void open() {
    std::vector<std::function<void()>> waiting;
    {
      const std::lock_guard lock(mutex_);
      open_ = true;
      waiting.swap(waiting_);
    }
    for (const auto& work : waiting) work();
  }
  void when_open(std::function<void()> work) {
    {
      const std::lock_guard lock(mutex_);
      if (!open_) {
        waiting_.push_back(std::move(work));
        return;
      }
    }
    work();
  }

 private:
  std::mutex mutex_;
  bool open_ = false;                           // guarded by mutex_
  std::vector<std::function<void()>> waiting_;  // guarded by mutex_
};

}  // namespace payonce::base
