#include "engine/engine.h"

#include <fmt/format.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.h"
#include "engine/scheduler.h"

namespace payonce::engine {

struct Engine::State {
  State(Parts p, EngineOptions o) : parts(p), options(std::move(o)) {
    if (parts.store != nullptr) tier = std::make_unique<Tier>(*parts.store, parts.executor, [this] { poke(); });
    scheduler = std::make_unique<Scheduler>(Scheduler::Parts{.executor = parts.executor,
                                                             .vocab = parts.vocab,
                                                             .tier = tier.get(),
                                                             .clock = parts.clock,
                                                             .metrics = parts.metrics,
                                                             .on_stats =
                                                                 [this](const EngineStats& now) {
                                                                   const std::lock_guard lock(mutex);
                                                                   stats = now;
                                                                 }},
                                            options);
    thread = std::thread([this] { run(); });
  }
  ~State() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    wake.notify_all();
    thread.join();
  }

  struct Arrival {
    RequestId id;
    Generate request;
    std::shared_ptr<Sink> sink;
  };

  void poke() {
    {
      const std::lock_guard lock(mutex);
      news = true;
    }
    wake.notify_all();
  }
  void run();
  bool take_news(bool idle);
  base::Status queue_has_room() const;

  const Parts parts;
  const EngineOptions options;
  std::unique_ptr<Tier> tier;
  std::unique_ptr<Scheduler> scheduler;  // after construction, of the engine's thread alone; check() is const

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<Arrival> arrivals;     // guarded by mutex
  std::deque<RequestId> cancelled;  // guarded by mutex
  EngineStats stats;                // guarded by mutex: as of the last step
  RequestId next_id = 1;            // guarded by mutex
  bool news = false;                // guarded by mutex
  bool stopping = false;            // guarded by mutex
  std::thread thread;
};

// Moves what came to the scheduler; waits for something when `idle`. False: the end.
bool Engine::State::take_news(bool idle) {
  std::unique_lock lock(mutex);
  if (idle) wake.wait(lock, [&] { return stopping || news || !arrivals.empty() || !cancelled.empty(); });
  news = false;
  if (stopping) return false;
  std::deque<Arrival> came;
  std::deque<RequestId> left;
  came.swap(arrivals);
  left.swap(cancelled);
  lock.unlock();
  for (Arrival& arrival : came) scheduler->add(arrival.id, std::move(arrival.request), std::move(arrival.sink));
  for (const RequestId id : left) scheduler->cancel(id);
  return true;
}

void Engine::State::run() {
  bool idle = true;
  while (take_news(idle)) {
    try {
      idle = !scheduler->step();
    } catch (const std::exception& error) {
      // The last net: whoever was under way is told, and the engine serves the next.
      base::log_error("engine step failed: {}", error.what());
      scheduler->fail_all({base::Code::kInternal, fmt::format("the engine failed: {}", error.what())});
      idle = false;
    }
  }
  scheduler->fail_all({base::Code::kUnavailable, "the engine is shutting down"});
  scheduler.reset();
}

base::Status Engine::State::queue_has_room() const {
  const auto waiting = stats.waiting + static_cast<int32_t>(arrivals.size());
  if (waiting < options.max_queue) return {};
  return base::fail(base::Code::kExhausted, fmt::format("{} requests wait already (--max-queue)", waiting));
}

Engine::Engine(Parts parts, EngineOptions options) : state_(std::make_unique<State>(parts, std::move(options))) {}
Engine::~Engine() = default;

base::Result<RequestId> Engine::submit(Generate request, std::shared_ptr<Sink> sink) {
  State& state = *state_;
  if (const auto good = state.scheduler->check(request); !good) return base::fail(good.error());
  RequestId id = 0;
  {
    const std::lock_guard lock(state.mutex);
    if (state.stopping) return base::fail(base::Code::kUnavailable, "the engine is shutting down");
    if (const auto room = state.queue_has_room(); !room) return base::fail(room.error());
    id = state.next_id++;
    state.arrivals.push_back({id, std::move(request), std::move(sink)});
  }
  state.wake.notify_all();
  return id;
}

void Engine::cancel(RequestId id) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->cancelled.push_back(id);
  }
  state_->wake.notify_all();
}

EngineStats Engine::stats() const {
  const std::lock_guard lock(state_->mutex);
  return state_->stats;
}

}  // namespace payonce::engine
