#include "record/ledger.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <condition_variable>
#include <ctime>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

#include "base/log.h"
#include "record/ledger_file.h"

namespace payonce::record {
namespace {

constexpr int64_t kDay_s = 24 * 3600;

std::string day_text(int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm utc{};
  (void)gmtime_r(&time, &utc);
  return fmt::format("{:%Y-%m-%d}", utc);
}

}  // namespace

struct Ledger::State {
  State(const base::Clock& c, base::Metrics& metrics, seal::Protection p)
      : clock(c),
        protection(std::move(p)),
        faults(metrics.counter("payonce_layer_faults_total", {{"layer", "ledger"}})) {}

  void open(const std::string& path);
  void add(std::string_view scope, std::string_view model, std::string_view layer, const llm::Usage& usage,
           double usd);
  void write_out();
  void run(const std::string& path);
  void count_faults() { faults.add(static_cast<double>(file->take_faults())); }

  const base::Clock& clock;
  const seal::Protection protection;
  const base::Counter faults;
  std::unique_ptr<LedgerFile> file;  // null: not opened

  std::mutex mutex;  // guards pending, day, stopping
  std::condition_variable wake;
  Book pending;  // day␟scope␟model␟layer → sums not yet written
  int64_t day_number = -1;
  std::string day;
  bool stopping = false;

  std::mutex write_mutex;  // guards file: one writer or reader at a time
  std::promise<void> opened;
  const std::shared_future<void> is_opened = opened.get_future().share();
  bool complained = false;
  std::thread writer;
};

void Ledger::State::open(const std::string& path) {
  auto found = LedgerFile::open(path, protection);
  if (found) {
    file = *std::move(found);
    return;
  }
  const bool unreadable = found.error().code != base::Code::kForbidden;
  base::log_error("ledger {}: {}; savings are counted in memory only{}", path, found.error().message,
                  unreadable ? ". Make room on the disk, or move the file away to start a new one" : "");
  faults.add();
}

void Ledger::State::add(std::string_view scope, std::string_view model, std::string_view layer,
                        const llm::Usage& usage, double usd) {
  const int64_t now_s = clock.unix_s();
  thread_local std::string key;
  const std::lock_guard lock(mutex);
  if (now_s / kDay_s != day_number) {
    day_number = now_s / kDay_s;
    day = day_text(now_s);
  }
  key.assign(day);
  for (const std::string_view part : {scope, model, layer}) key.append(1, kSeparator).append(part);
  pending[key].add({.requests = 1, .input = usage.input(), .output = usage.output, .usd = usd});
}

void Ledger::State::write_out() {
  is_opened.wait();
  const std::lock_guard write_lock(write_mutex);
  if (!file) return;
  Book rows;
  {
    const std::lock_guard lock(mutex);
    rows.swap(pending);
  }
  if (rows.empty()) return;
  const base::Status written = file->add(rows);
  count_faults();
  if (written) return;
  faults.add();
  if (!std::exchange(complained, true)) base::log_error("ledger: {}; will try again", written.error().message);
  const std::lock_guard lock(mutex);
  for (const auto& [key, sums] : rows) pending[key].add(sums);  // nothing is lost: the next turn writes it
}

// Opens first: that syncs the disk several times, which the start must not wait for.
void Ledger::State::run(const std::string& path) {
  open(path);
  opened.set_value();
  std::unique_lock lock(mutex);
  while (!stopping) {
    wake.wait_for(lock, std::chrono::seconds(1));
    lock.unlock();
    write_out();
    lock.lock();
  }
}

Ledger::Ledger(const std::string& directory, const base::Clock& clock, base::Metrics& metrics,
               const seal::Protection& protection)
    : state_(std::make_unique<State>(clock, metrics, directory.empty() ? seal::Protection{} : protection)) {
  const std::string path = directory.empty() ? ":memory:" : directory + "/ledger.db";
  state_->writer = std::thread([state = state_.get(), path] { state->run(path); });
}

Ledger::~Ledger() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->wake.notify_all();
  state_->writer.join();
  state_->write_out();
}

void Ledger::add_hit(std::string_view scope, std::string_view model, std::string_view layer, const llm::Usage& usage,
                     double usd) {
  state_->add(scope, model, layer, usage, usd);
}

void Ledger::add_spend(std::string_view scope, std::string_view model, const llm::Usage& usage, double usd,
                       std::string_view layer) {
  state_->add(scope, model, layer, usage, usd);
}

void Ledger::flush() { state_->write_out(); }

std::vector<LedgerRow> Ledger::rows(int days, std::string_view scope) {
  flush();
  const std::lock_guard lock(state_->write_mutex);
  if (!state_->file) return {};
  auto out = state_->file->rows(day_text(state_->clock.unix_s() - (days - 1) * kDay_s), scope);
  state_->count_faults();
  return out;
}

}  // namespace payonce::record
