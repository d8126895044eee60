// One event loop = one Boost.Asio io_context run by one thread. Everything of a connection stays on its loop: no
// locks, no strands.  Threads: post() any; the rest loop thread only.
#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace payonce::net {

// So often a connection reads before the other ones of its loop have their turn.
inline constexpr int kReadsPerTurn = 16;

class EventLoop {
 public:
  EventLoop();
  boost::asio::io_context& context() { return context_; }
  void post(std::function<void()> job);  // runs later on the loop's thread
  bool in_loop_thread() const;
  void run();   // until stop()
  void stop();  // any thread

 private:
  boost::asio::io_context context_{1};
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{context_.get_executor()};
  std::atomic<std::thread::id> thread_;
};

// Owns N loops and their threads; loops live until destruction.
class EventLoops {
 public:
  explicit EventLoops(size_t count);
  ~EventLoops();  // stops and joins
  void start();   // one thread each
  void stop();
  size_t size() const { return loops_.size(); }
  EventLoop& operator[](size_t index) { return *loops_[index]; }

 private:
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::vector<std::thread> threads_;
};

}  // namespace payonce::net
