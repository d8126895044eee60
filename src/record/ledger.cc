#include "record/ledger.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <condition_variable>
#include <ctime>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_set>
#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "record/ledger_file.h"

namespace payonce::record {
namespace {

constexpr int64_t kDay_s = 24 * 3600;
constexpr std::string_view kOthers = "(others)";  // no scope id has parentheses

std::string day_text(int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm utc{};
  (void)gmtime_r(&time, &utc);
  return fmt::format("{:%Y-%m-%d}", utc);
}

}  // namespace

struct Ledger::State {
  State(const base::Clock& c, base::Metrics& metrics, seal::Protection p, size_t limit)
      : clock(c),
        protection(std::move(p)),
        rows_per_day(limit),
        faults(metrics.counter("payonce_layer_faults_total", {{"layer", "ledger"}})) {}

  void open(const std::string& path);
  void add(std::string_view scope, std::string_view model, std::string_view layer, const llm::Usage& usage,
           double usd);
  void begin_day(int64_t now_s);
  void bound(std::string& key, std::string_view layer);
  void remember_today();
  void write_out();
  void run(const std::string& path);
  void count_faults() { faults.add(static_cast<double>(file->take_faults())); }

  const base::Clock& clock;
  const seal::Protection protection;
  const size_t rows_per_day;
  const base::Counter faults;
  std::unique_ptr<LedgerFile> file;  // null: not opened

  const base::KeyedHash hash;

  std::mutex mutex;  // guards pending, day_number, day, known, stopping
  std::condition_variable wake;
  Book pending;  // day␟scope␟model␟layer → sums not yet written
  int64_t day_number = -1;
  std::string day;
  std::unordered_set<base::Hash128, base::Hash128Hasher> known;  // the day's rows, written or not
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
    remember_today();
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
  const Sums sums{.requests = 1, .input = usage.input(), .output = usage.output, .usd = usd};
  thread_local std::string key;
  const std::lock_guard lock(mutex);
  begin_day(now_s);
  write_key(key, day, scope, model, layer);
  auto row = pending.find(key);
  if (row == pending.end()) {
    bound(key, layer);
    row = pending.try_emplace(key).first;
  }
  row->second.add(sums);
}

void Ledger::State::begin_day(int64_t now_s) {
  if (now_s / kDay_s == day_number) return;
  day_number = now_s / kDay_s;
  day = day_text(now_s);
  known.clear();
}

// A new row has its own name while the day has few enough, else that of all others.
void Ledger::State::bound(std::string& key, std::string_view layer) {
  const base::Hash128 name = hash(key);
  if (known.size() < rows_per_day) {
    known.insert(name);
    if (known.size() == rows_per_day)
      base::log_warn("ledger: {} rows on {}; what is new today is summed as {}", rows_per_day, day, kOthers);
  } else if (!known.contains(name)) {
    write_key(key, day, kOthers, kOthers, layer);
  }
}

// A restart gives the day no new rows.
void Ledger::State::remember_today() {
  const int64_t now_s = clock.unix_s();
  const std::vector<LedgerRow> rows = file->rows(day_text(now_s), {});
  std::string key;
  const std::lock_guard lock(mutex);
  begin_day(now_s);
  for (const LedgerRow& row : rows) {
    write_key(key, row.day, row.scope, row.model, row.layer);
    known.insert(hash(key));
  }
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
               const seal::Protection& protection, size_t rows_per_day)
    : state_(std::make_unique<State>(clock, metrics, directory.empty() ? seal::Protection{} : protection,
                                     rows_per_day)) {
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
