#include "record/ledger.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <condition_variable>
#include <ctime>
#include <future>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <utility>

#include "base/log.h"

namespace payonce::record {
namespace {

constexpr int64_t kDay_s = 24 * 3600;
constexpr char kSeparator = '\x1f';
constexpr const char* kSchema =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=2000;"
    "CREATE TABLE IF NOT EXISTS ledger (day TEXT NOT NULL, scope TEXT NOT NULL, model TEXT NOT NULL, layer TEXT NOT "
    "NULL,"
    " requests INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, usd REAL NOT NULL,"
    " PRIMARY KEY (day, scope, model, layer)) WITHOUT ROWID;";
constexpr const char* kAdd =
    "INSERT INTO ledger VALUES (?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT (day,scope,model,layer) DO UPDATE SET"
    " requests=requests+excluded.requests, input_tokens=input_tokens+excluded.input_tokens,"
    " output_tokens=output_tokens+excluded.output_tokens, usd=usd+excluded.usd;";
constexpr const char* kRead =
    "SELECT day,scope,model,layer,requests,input_tokens,output_tokens,usd FROM ledger WHERE day>=?1 AND (?2='' OR "
    "scope=?2)"
    " ORDER BY day DESC, usd DESC, scope, model, layer;";

std::string day_text(int64_t unix_s) {
  const std::time_t time = unix_s;
  std::tm utc{};
  (void)gmtime_r(&time, &utc);
  return fmt::format("{:%Y-%m-%d}", utc);
}

struct CloseStatement {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, CloseStatement>;

Statement prepare(sqlite3* db, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(db, sql, -1, &statement, nullptr) != SQLITE_OK) return nullptr;
  return Statement(statement);
}

void bind_text(sqlite3_stmt* statement, int index, const std::string& text) {
  sqlite3_bind_text(statement, index, text.data(), static_cast<int>(text.size()), SQLITE_TRANSIENT);
}

std::string column_text(sqlite3_stmt* statement, int index) {
  const unsigned char* text = sqlite3_column_text(statement, index);
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

struct Sums {
  int64_t requests = 0, input = 0, output = 0;
  double usd = 0;
};
using Book = std::unordered_map<std::string, Sums>;

}  // namespace

struct Ledger::State {
  State(const base::Clock& c, base::Metrics& metrics)
      : clock(c), faults(metrics.counter("payonce_layer_faults_total", {{"layer", "ledger"}})) {}

  void open(const std::string& path);
  void add(std::string_view scope, std::string_view model, std::string_view layer, const llm::Usage& usage,
           double usd);
  void write_out();
  bool write_rows(const Book& rows);
  void run(const std::string& path);

  const base::Clock& clock;
  const base::Counter faults;
  sqlite3* db = nullptr;

  std::mutex mutex;  // guards pending, day, stopping
  std::condition_variable wake;
  Book pending;  // day␟scope␟model␟layer → sums not yet written
  int64_t day_number = -1;
  std::string day;
  bool stopping = false;

  std::mutex write_mutex;  // guards db: one writer or reader at a time
  std::promise<void> opened;
  const std::shared_future<void> is_opened = opened.get_future().share();
  bool complained = false;
  std::thread writer;
};

void Ledger::State::open(const std::string& path) {
  if (sqlite3_open(path.c_str(), &db) == SQLITE_OK &&
      sqlite3_exec(db, kSchema, nullptr, nullptr, nullptr) == SQLITE_OK)
    return;
  base::log_error(
      "ledger {}: {}; savings are counted in memory only. Make room on the disk, or move the file away to start a "
      "new one",
      path, db != nullptr ? sqlite3_errmsg(db) : "out of memory");
  faults.add();
  sqlite3_close(db);
  db = nullptr;
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
  Sums& sums = pending[key];
  ++sums.requests;
  sums.input += usage.input();
  sums.output += usage.output;
  sums.usd += usd;
}

bool Ledger::State::write_rows(const Book& rows) {
  if (sqlite3_exec(db, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) != SQLITE_OK) return false;
  const Statement statement = prepare(db, kAdd);
  bool good = statement != nullptr;
  for (const auto& [key, sums] : rows) {
    if (!good) break;
    size_t at = 0;
    for (int column = 1; column <= 4; ++column) {
      const size_t end = key.find(kSeparator, at);
      bind_text(statement.get(), column, key.substr(at, end == std::string::npos ? end : end - at));
      at = end + 1;
    }
    sqlite3_bind_int64(statement.get(), 5, sums.requests);
    sqlite3_bind_int64(statement.get(), 6, sums.input);
    sqlite3_bind_int64(statement.get(), 7, sums.output);
    sqlite3_bind_double(statement.get(), 8, sums.usd);
    good = sqlite3_step(statement.get()) == SQLITE_DONE;
    sqlite3_reset(statement.get());
  }
  if (good && sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr) == SQLITE_OK) return true;
  // Before the rollback has a message of its own.
  if (!std::exchange(complained, true)) base::log_error("ledger: {}; will try again", sqlite3_errmsg(db));
  sqlite3_exec(db, "ROLLBACK", nullptr, nullptr, nullptr);
  return false;
}

void Ledger::State::write_out() {
  is_opened.wait();
  const std::lock_guard write_lock(write_mutex);
  if (db == nullptr) return;
  Book rows;
  {
    const std::lock_guard lock(mutex);
    rows.swap(pending);
  }
  if (rows.empty() || write_rows(rows)) return;
  faults.add();
  const std::lock_guard lock(mutex);
  for (const auto& [key, sums] : rows) {  // nothing is lost: the next turn writes it
    Sums& back = pending[key];
    back.requests += sums.requests;
    back.input += sums.input;
    back.output += sums.output;
    back.usd += sums.usd;
  }
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

Ledger::Ledger(const std::string& directory, const base::Clock& clock, base::Metrics& metrics)
    : state_(std::make_unique<State>(clock, metrics)) {
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
  sqlite3_close(state_->db);
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
  std::vector<LedgerRow> out;
  const std::lock_guard lock(state_->write_mutex);
  if (state_->db == nullptr) return out;
  const Statement statement = prepare(state_->db, kRead);
  if (!statement) return out;
  bind_text(statement.get(), 1, day_text(state_->clock.unix_s() - (days - 1) * kDay_s));
  bind_text(statement.get(), 2, std::string(scope));
  while (sqlite3_step(statement.get()) == SQLITE_ROW) {
    sqlite3_stmt* row = statement.get();
    out.push_back({.day = column_text(row, 0),
                   .scope = column_text(row, 1),
                   .model = column_text(row, 2),
                   .layer = column_text(row, 3),
                   .requests = sqlite3_column_int64(row, 4),
                   .input_tokens = sqlite3_column_int64(row, 5),
                   .output_tokens = sqlite3_column_int64(row, 6),
                   .usd = sqlite3_column_double(row, 7)});
  }
  return out;
}

}  // namespace payonce::record
