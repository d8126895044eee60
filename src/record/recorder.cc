#include "record/recorder.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "record/row_file.h"

namespace payonce::record {
namespace {

constexpr size_t kWrite_bytes = 1 << 20;   // lines of so many are written at once
constexpr int64_t kOpenAgain_ms = 10'000;  // after a file that could not be opened or written

base::Counter rows(base::Metrics& metrics, const char* outcome) {
  return metrics.counter("payonce_record_rows_total", {{"outcome", outcome}});
}

}  // namespace

// What the thread gathers and writes.
class Recorder::Writer {
 public:
  Writer(base::Env& env, const base::Clock& clock, const base::Counter& written, const base::Counter& failed)
      : env_(env), clock_(clock), written_(written), failed_(failed) {}

  void configure(Options options) {
    write();
    options_ = std::move(options);
    file_.reset();
    not_before_ms_ = 0;
    if (!options_.file.empty()) (void)open();
  }
  void take(const Exchange& exchange) {
    if (options_.file.empty()) return;
    lines_ += row_of(exchange, exchange.response ? exchange.response() : std::nullopt);
    lines_ += '\n';
    if (rows_++ == 0) since_ms_ = now_ms();
    if (lines_.size() >= std::min<uint64_t>(kWrite_bytes, options_.max_bytes / 8)) write();
  }
  // How long the rows may wait for more; negative: there are none.
  int64_t patience_ms() const {
    if (rows_ == 0) return -1;
    return file_ && file_->is_packed() ? std::max<int64_t>(0, since_ms_ + kGather_ms - now_ms()) : 0;
  }
  void write() {
    if (rows_ == 0) return;
    const bool ok = open() && append();
    (ok ? written_ : failed_).add(static_cast<double>(rows_));
    lines_.clear();
    rows_ = 0;
  }

 private:
  bool open() {
    if (file_) return true;
    if (now_ms() < not_before_ms_) return false;
    auto opened = RowFile::open(env_, options_.file, options_.max_bytes);
    if (!opened) return complain(opened.error());
    file_ = *std::move(opened);
    return true;
  }
  bool append() {
    const auto written = file_->append(lines_);
    if (written) return true;
    file_.reset();
    return complain(written.error());
  }
  bool complain(const base::Error& error) {
    base::log_error("record.file: {}; rows are lost until it can be written, tried again in {} s", error.message,
                    kOpenAgain_ms / 1000);
    not_before_ms_ = now_ms() + kOpenAgain_ms;
    return false;
  }

  int64_t now_ms() const { return clock_.monotonic_us() / 1000; }

  base::Env& env_;
  const base::Clock& clock_;
  const base::Counter& written_;
  const base::Counter& failed_;
  Options options_;
  std::unique_ptr<RowFile> file_;
  int64_t not_before_ms_ = 0, since_ms_ = 0;
  std::string lines_;
  size_t rows_ = 0;
};

Recorder::Recorder(base::Env& env, const base::Clock& clock, base::Metrics& metrics)
    : env_(env),
      clock_(clock),
      written_(rows(metrics, "written")),
      dropped_(rows(metrics, "dropped")),
      failed_(rows(metrics, "failed")) {}

Recorder::~Recorder() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void Recorder::configure(Options options) {
  on_.store(!options.file.empty(), std::memory_order_relaxed);
  if (!thread_.joinable()) {
    if (options.file.empty()) return;
    thread_ = std::thread([this] { run(); });
  }
  push({.options = std::move(options)});
}

void Recorder::add(Exchange exchange) {
  Queued queued{.exchange = std::move(exchange)};
  queued.bytes = queued.exchange.request.size() + queued.exchange.response_bytes;
  push(std::move(queued));
}

void Recorder::push(Queued queued) {
  {
    const std::lock_guard lock(mutex_);
    if (!queued.options && (queue_.size() >= kMaxQueued || queued_bytes_ + queued.bytes > kMaxQueued_bytes))
      return dropped_.add();
    queued_bytes_ += queued.bytes;
    queue_.push_back(std::move(queued));
  }
  wake_.notify_one();
}

void Recorder::flush() {
  std::unique_lock lock(mutex_);
  hurry_ = true;
  wake_.notify_one();
  idle_.wait(lock, [this] { return (queue_.empty() && idle_now_) || !thread_.joinable(); });
  hurry_ = false;
}

void Recorder::run() {
  Writer writer(env_, clock_, written_, failed_);
  std::unique_lock lock(mutex_);
  while (true) {
    const auto news = [this] { return !queue_.empty() || stopping_ || hurry_; };
    const int64_t patience_ms = writer.patience_ms();
    idle_now_ = patience_ms < 0;
    if (idle_now_ && queue_.empty()) {
      idle_.notify_all();
      if (stopping_) return;
      wake_.wait(lock, [this] { return !queue_.empty() || stopping_; });
    } else if (queue_.empty() && patience_ms > 0) {
      wake_.wait_for(lock, std::chrono::milliseconds(patience_ms), news);
    }
    idle_now_ = false;
    if (queue_.empty()) {
      lock.unlock();
      writer.write();
      lock.lock();
      continue;
    }
    Queued next = std::move(queue_.front());
    queue_.pop_front();
    queued_bytes_ -= next.bytes;
    lock.unlock();
    if (next.options)
      writer.configure(*std::move(next.options));
    else
      writer.take(next.exchange);
    next = {};
    lock.lock();
  }
}

}  // namespace payonce::record
