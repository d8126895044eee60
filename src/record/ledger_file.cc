#include "record/ledger_file.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <bit>
#include <filesystem>
#include <tuple>
#include <utility>

#include "base/env.h"
#include "base/hash.h"
#include "base/little_endian.h"
#include "base/log.h"
#include "seal/sealing_format.h"

namespace payonce::record {
namespace {

using base::Code;
using base::fail;

constexpr const char* kOptions = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=2000;";
constexpr const char* kPlainTable =
    "CREATE TABLE IF NOT EXISTS ledger (day TEXT NOT NULL, scope TEXT NOT NULL, model TEXT NOT NULL, layer TEXT NOT "
    "NULL,"
    " requests INTEGER NOT NULL, input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, usd REAL NOT NULL,"
    " PRIMARY KEY (day, scope, model, layer)) WITHOUT ROWID;";
constexpr const char* kSealedTables =
    "CREATE TABLE seal (header BLOB NOT NULL);"
    "CREATE TABLE sealed (day TEXT NOT NULL, mark BLOB NOT NULL, box BLOB NOT NULL, PRIMARY KEY (day, mark))"
    " WITHOUT ROWID;";
constexpr const char* kAdd =
    "INSERT INTO ledger VALUES (?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT (day,scope,model,layer) DO UPDATE SET"
    " requests=requests+excluded.requests, input_tokens=input_tokens+excluded.input_tokens,"
    " output_tokens=output_tokens+excluded.output_tokens, usd=usd+excluded.usd;";
constexpr const char* kRead =
    "SELECT day,scope,model,layer,requests,input_tokens,output_tokens,usd FROM ledger WHERE day>=?1 AND (?2='' OR "
    "scope=?2);";
constexpr const char* kFindBox = "SELECT box FROM sealed WHERE day=?1 AND mark=?2;";
constexpr const char* kPutBox = "INSERT OR REPLACE INTO sealed VALUES (?1,?2,?3);";
constexpr const char* kReadBoxes = "SELECT day,mark,box FROM sealed WHERE day>=?1;";
constexpr std::string_view kPurpose = "ledger.db";

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

void bind_blob(sqlite3_stmt* statement, int index, const std::string& bytes) {
  sqlite3_bind_blob(statement, index, bytes.data(), static_cast<int>(bytes.size()), SQLITE_TRANSIENT);
}

std::string column(sqlite3_stmt* statement, int index) {
  const void* bytes = sqlite3_column_blob(statement, index);
  const auto size = static_cast<size_t>(sqlite3_column_bytes(statement, index));
  return bytes == nullptr ? "" : std::string(static_cast<const char*>(bytes), size);
}

std::string bound_of(const std::string& day, const std::string& mark) { return "row 1 " + day + mark; }

}  // namespace

void write_key(std::string& key, std::string_view day, std::string_view scope, std::string_view model,
               std::string_view layer) {
  key.assign(day);
  for (const std::string_view part : {scope, model, layer}) key.append(1, kSeparator).append(part);
}

void Sums::add(const Sums& more) {
  requests += more.requests;
  input += more.input;
  output += more.output;
  usd += more.usd;
}

base::Result<std::unique_ptr<LedgerFile>> LedgerFile::open(const std::string& path,
                                                           const seal::Protection& protection) {
  std::unique_ptr<LedgerFile> out(new LedgerFile);
  PAYONCE_CHECK_OK(out->open_database(path));
  PAYONCE_CHECK_OK(out->prepare_tables(protection));
  if (!out->stale_) return out;
  PAYONCE_CHECK_OK(out->rewrite(path, protection));
  out.reset(new LedgerFile);
  PAYONCE_CHECK_OK(out->open_database(path));
  PAYONCE_CHECK_OK(out->prepare_tables(protection));
  return out;
}

LedgerFile::~LedgerFile() { sqlite3_close(db_); }

std::string LedgerFile::error() const { return db_ != nullptr ? sqlite3_errmsg(db_) : "out of memory"; }

uint64_t LedgerFile::take_faults() { return std::exchange(faults_, 0); }

base::Status LedgerFile::run(const char* sql) {
  if (sqlite3_exec(db_, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return {};
  return fail(Code::kUnavailable, error());
}

base::Status LedgerFile::open_database(const std::string& path) {
  if (sqlite3_open(path.c_str(), &db_) != SQLITE_OK) return fail(Code::kUnavailable, error());
  return run(kOptions);
}

base::Result<std::string> LedgerFile::sealed_header() {
  const Statement find = prepare(db_, "SELECT name FROM sqlite_master WHERE name='seal';");
  if (!find) return fail(Code::kUnavailable, error());
  if (sqlite3_step(find.get()) != SQLITE_ROW) return std::string();
  const Statement read = prepare(db_, "SELECT header FROM seal;");
  if (!read || sqlite3_step(read.get()) != SQLITE_ROW) return fail(Code::kCorrupt, "its table 'seal' is empty");
  return column(read.get(), 0);
}

bool LedgerFile::has_plain_rows() {
  const Statement read = prepare(db_, "SELECT 1 FROM sqlite_master WHERE name='ledger';");
  return read && sqlite3_step(read.get()) == SQLITE_ROW;
}

base::Status LedgerFile::prepare_tables(const seal::Protection& protection) {
  PAYONCE_TRY(const std::string bytes, sealed_header());
  seal::FileHeader header{.key_id = {}, .salt = std::string(seal::kSaltBytes, '\0')};
  if (bytes.empty() && !protection.keys) return run(kPlainTable);
  if (bytes.empty() && has_plain_rows()) {
    if (!protection.take_plaintext)
      return fail(Code::kForbidden, "it is not sealed, and encryption.plaintext is \"refuse\"");
    stale_ = true;
    return {};
  }
  if (bytes.empty()) {
    header.key_id = protection.keys->first().id();
    base::random_bytes(header.salt.data(), header.salt.size());
    PAYONCE_CHECK_OK(run("BEGIN IMMEDIATE"));
    PAYONCE_CHECK_OK(run(kSealedTables));
    const Statement put = prepare(db_, "INSERT INTO seal VALUES (?1);");
    if (!put) return fail(Code::kUnavailable, error());
    bind_blob(put.get(), 1, encode_file_header(header));
    if (sqlite3_step(put.get()) != SQLITE_DONE) return fail(Code::kUnavailable, error());
    PAYONCE_CHECK_OK(run("COMMIT"));
  } else if (seal::decode_file_header(bytes, header) != seal::Look::kSealed) {
    return fail(Code::kCorrupt, "its table 'seal' is damaged");
  }
  const seal::Key* key = protection.keys ? protection.keys->find(header.key_id) : nullptr;
  if (key == nullptr)
    return fail(Code::kForbidden,
                fmt::format("it is sealed under key {}, which is not given", base::hex(header.key_id)));
  sealer_ = std::make_unique<const seal::Sealer>(*key, header.salt, kPurpose);
  stale_ = key != &protection.keys->first();
  return {};
}

base::Status LedgerFile::rewrite(const std::string& path, const seal::Protection& protection) {
  const std::string unfinished = path + std::string(base::kUnfinished);
  base::PosixEnv files;
  for (const char* end : {"", "-wal", "-shm", "-journal"}) {
    if (files.exists(unfinished + end)) PAYONCE_CHECK_OK(files.remove(unfinished + end));
  }
  Book all;
  std::string key;
  for (const LedgerRow& row : rows("", {})) {
    write_key(key, row.day, row.scope, row.model, row.layer);
    all[key].add({.requests = row.requests, .input = row.input_tokens, .output = row.output_tokens, .usd = row.usd});
  }
  {
    PAYONCE_TRY(const auto fresh, open(unfinished, protection));
    PAYONCE_CHECK_OK(fresh->add(all));
    // No second file may stand beside either when the one takes the other's name.
    PAYONCE_CHECK_OK(fresh->run("PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL;"));
  }
  PAYONCE_CHECK_OK(run("PRAGMA journal_mode=DELETE;"));
  sqlite3_close(std::exchange(db_, nullptr));
  PAYONCE_CHECK_OK(files.rename(unfinished, path));
  base::log_info("ledger {}: {} rows sealed", path, all.size());
  return files.sync_directory(std::filesystem::path(path).parent_path().string());
}

base::Status LedgerFile::add(const Book& rows) {
  PAYONCE_CHECK_OK(run("BEGIN IMMEDIATE"));
  const Statement add = sealer_ ? nullptr : prepare(db_, kAdd);
  const Statement find = sealer_ ? prepare(db_, kFindBox) : nullptr, put = sealer_ ? prepare(db_, kPutBox) : nullptr;
  bool good = sealer_ ? find && put : add != nullptr;
  for (const auto& [key, sums] : rows) {
    if (!good) break;
    Row row;
    size_t at = 0;
    for (std::string* part : {&row.day, &row.scope, &row.model, &row.layer}) {
      const size_t end = std::min(key.find(kSeparator, at), key.size());
      *part = key.substr(at, end - at);
      at = std::min(end + 1, key.size());
    }
    good = sealer_ ? add_sealed(find.get(), put.get(), row, sums) : add_plain(add.get(), row, sums);
  }
  if (good && run("COMMIT")) return {};
  auto failed = fail(Code::kUnavailable, error());  // before the rollback has a message of its own
  (void)run("ROLLBACK");
  return failed;
}

bool LedgerFile::add_plain(sqlite3_stmt* statement, const Row& row, const Sums& sums) {
  int index = 0;
  for (const std::string* part : {&row.day, &row.scope, &row.model, &row.layer}) bind_text(statement, ++index, *part);
  for (const int64_t count : {sums.requests, sums.input, sums.output}) sqlite3_bind_int64(statement, ++index, count);
  sqlite3_bind_double(statement, ++index, sums.usd);
  const bool good = sqlite3_step(statement) == SQLITE_DONE;
  sqlite3_reset(statement);
  return good;
}

bool LedgerFile::add_sealed(sqlite3_stmt* find, sqlite3_stmt* put, const Row& row, Sums sums) {
  std::string key;
  write_key(key, row.day, row.scope, row.model, row.layer);
  const std::string mark = sealer_->mark(key);
  bind_text(find, 1, row.day);
  bind_blob(find, 2, mark);
  const int found = sqlite3_step(find);
  LedgerRow before;
  if (found == SQLITE_ROW && open_box(row.day, mark, column(find, 0), before))
    sums.add({.requests = before.requests,
              .input = before.input_tokens,
              .output = before.output_tokens,
              .usd = before.usd});
  sqlite3_reset(find);
  if (found != SQLITE_ROW && found != SQLITE_DONE) return false;

  std::string plain;
  for (const int64_t count : {sums.requests, sums.input, sums.output}) base::put_number(plain, count);
  base::put_number(plain, std::bit_cast<uint64_t>(sums.usd));
  for (const std::string* part : {&row.scope, &row.model, &row.layer}) {
    base::put_number(plain, static_cast<uint32_t>(part->size()));
    plain += *part;
  }
  const seal::Nonce nonce = seal::random_nonce();
  std::string box(reinterpret_cast<const char*>(nonce.data()), nonce.size());
  box.resize(nonce.size() + plain.size() + seal::kTagBytes);
  seal::Session(*sealer_, seal::Session::Way::kSeal)
      .seal(nonce, bound_of(row.day, mark), plain, box.data() + nonce.size());
  bind_text(put, 1, row.day);
  bind_blob(put, 2, mark);
  bind_blob(put, 3, box);
  const bool good = sqlite3_step(put) == SQLITE_DONE;
  sqlite3_reset(put);
  return good;
}

bool LedgerFile::open_box(const std::string& day, const std::string& mark, const std::string& box, LedgerRow& out) {
  seal::Nonce nonce;
  std::string plain(box.size() > nonce.size() + seal::kTagBytes ? box.size() - nonce.size() - seal::kTagBytes : 0,
                    '\0');
  std::copy_n(box.begin(), std::min(box.size(), nonce.size()), nonce.begin());
  const bool opened = !plain.empty() &&
                      seal::Session(*sealer_, seal::Session::Way::kOpen)
                          .open(nonce, bound_of(day, mark), std::string_view(box).substr(nonce.size()), plain.data());
  base::NumberReader in(plain);
  out.day = day;
  for (int64_t* count : {&out.requests, &out.input_tokens, &out.output_tokens}) *count = in.number<int64_t>();
  out.usd = std::bit_cast<double>(in.number<uint64_t>());
  for (std::string* part : {&out.scope, &out.model, &out.layer}) *part = in.text(in.number<uint32_t>());
  if (opened && in.ok() && in.at_end()) return true;
  ++faults_;
  return false;
}

std::vector<LedgerRow> LedgerFile::rows(const std::string& from_day, std::string_view scope) {
  std::vector<LedgerRow> out = sealer_ ? sealed_rows(from_day) : plain_rows(from_day, scope);
  if (!scope.empty()) std::erase_if(out, [&](const LedgerRow& row) { return row.scope != scope; });
  std::ranges::sort(out, [](const LedgerRow& a, const LedgerRow& b) {
    return std::tie(b.day, b.usd, a.scope, a.model, a.layer) < std::tie(a.day, a.usd, b.scope, b.model, b.layer);
  });
  return out;
}

std::vector<LedgerRow> LedgerFile::plain_rows(const std::string& from_day, std::string_view scope) {
  std::vector<LedgerRow> out;
  const Statement statement = prepare(db_, kRead);
  if (!statement) return out;
  bind_text(statement.get(), 1, from_day);
  bind_text(statement.get(), 2, std::string(scope));
  while (sqlite3_step(statement.get()) == SQLITE_ROW) {
    sqlite3_stmt* row = statement.get();
    out.push_back({.day = column(row, 0),
                   .scope = column(row, 1),
                   .model = column(row, 2),
                   .layer = column(row, 3),
                   .requests = sqlite3_column_int64(row, 4),
                   .input_tokens = sqlite3_column_int64(row, 5),
                   .output_tokens = sqlite3_column_int64(row, 6),
                   .usd = sqlite3_column_double(row, 7)});
  }
  return out;
}

std::vector<LedgerRow> LedgerFile::sealed_rows(const std::string& from_day) {
  std::vector<LedgerRow> out;
  const Statement statement = prepare(db_, kReadBoxes);
  if (!statement) return out;
  bind_text(statement.get(), 1, from_day);
  while (sqlite3_step(statement.get()) == SQLITE_ROW) {
    LedgerRow row;
    if (open_box(column(statement.get(), 0), column(statement.get(), 1), column(statement.get(), 2), row))
      out.push_back(std::move(row));
  }
  return out;
}

}  // namespace payonce::record
