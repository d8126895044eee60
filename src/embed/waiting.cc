#include "embed/waiting.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"

namespace payonce::embed {

namespace {

double seconds_since(WaitingText::Clock::time_point since) {
  return std::chrono::duration<double>(WaitingText::Clock::now() - since).count();
}

}  // namespace

Waiting::Waiting(size_t limit, base::Metrics* metrics) : limit_(limit) {
  if (!metrics) return;
  queue_ = metrics->gauge("payonce_embedder_queue");
  wait_seconds_ = metrics->histogram("payonce_embedder_seconds", {{"phase", "wait"}});
  compute_seconds_ = metrics->histogram("payonce_embedder_seconds", {{"phase", "compute"}});
  embedded_ = metrics->counter("payonce_embedder_texts_total", {{"outcome", "embedded"}});
  refused_ = metrics->counter("payonce_embedder_texts_total", {{"outcome", "refused"}});
  failed_ = metrics->counter("payonce_embedder_texts_total", {{"outcome", "failed"}});
}

base::Status Waiting::add(std::string text, Embedder::Done done) {
  if (text.empty()) return base::fail(base::Code::kInvalid, "the text to embed is empty");
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return base::fail(base::Code::kUnavailable, "the embedder is ending");
    if (texts_.size() >= limit_) {
      refused_.add();
      return base::fail(base::Code::kExhausted, fmt::format("{} texts wait for the embedder already", limit_));
    }
    texts_.push_back({std::move(text), std::move(done), WaitingText::Clock::now()});
    queue_.set(static_cast<double>(texts_.size()));
  }
  wake_.notify_one();
  return {};
}

std::vector<WaitingText> Waiting::take(size_t limit, const std::function<bool(const WaitingText&)>& fits) {
  std::unique_lock lock(mutex_);
  wake_.wait(lock, [this] { return closed_ || !texts_.empty(); });
  std::vector<WaitingText> out = take_some(limit, fits);
  if (!texts_.empty()) wake_.notify_one();
  return out;
}

std::vector<WaitingText> Waiting::take_now(size_t limit, const std::function<bool(const WaitingText&)>& fits) {
  const std::lock_guard lock(mutex_);
  return take_some(limit, fits);
}

std::vector<WaitingText> Waiting::take_some(size_t limit, const std::function<bool(const WaitingText&)>& fits) {
  std::vector<WaitingText> out;
  while (!texts_.empty() && out.size() < limit && (fits(texts_.front()) || out.empty())) {
    wait_seconds_.observe(seconds_since(texts_.front().since));
    out.push_back(std::move(texts_.front()));
    texts_.pop_front();
  }
  queue_.set(static_cast<double>(texts_.size()));
  return out;
}

void Waiting::answer(WaitingText& waiting, base::Result<Embedding> result) {
  (result ? embedded_ : failed_).add();
  try {
    waiting.done(std::move(result));
  } catch (const std::exception& error) {
    base::log_error("the receiver of an embedding failed: {}", error.what());
  }
  waiting.done = nullptr;  // what it holds on to goes at once
}

void Waiting::computed(WaitingText::Clock::time_point since) { compute_seconds_.observe(seconds_since(since)); }

void Waiting::close() {
  std::deque<WaitingText> left;
  {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    left.swap(texts_);
    queue_.set(0);
  }
  wake_.notify_all();
  for (WaitingText& each : left) answer(each, base::fail(base::Code::kUnavailable, "the embedder is ending"));
}

}  // namespace payonce::embed
