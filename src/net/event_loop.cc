#include "net/event_loop.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "base/log.h"

namespace payonce::net {

EventLoop::EventLoop() = default;

void EventLoop::post(std::function<void()> job) { boost::asio::post(context_, std::move(job)); }

bool EventLoop::in_loop_thread() const {
  return thread_.load(std::memory_order_relaxed) == std::this_thread::get_id();
}

void EventLoop::run() {
  thread_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  while (!context_.stopped()) {
    try {
      context_.run();
    } catch (const std::exception& error) {
      // A handler must not throw; if one does, its connection is lost, not the server.
      base::log_error("event loop: {}", error.what());
    }
  }
}

void EventLoop::stop() { context_.stop(); }

EventLoops::EventLoops(size_t count) {
  for (size_t i = 0; i < count; ++i) loops_.push_back(std::make_unique<EventLoop>());
}

EventLoops::~EventLoops() { stop(); }

void EventLoops::start() {
  for (const auto& loop : loops_) threads_.emplace_back([&loop = *loop] { loop.run(); });
}

void EventLoops::stop() {
  for (const auto& loop : loops_) loop->stop();
  for (std::thread& thread : threads_)
    if (thread.joinable()) thread.join();
  threads_.clear();
}

}  // namespace payonce::net
