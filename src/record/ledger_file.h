// The ledger's database (SQLite, WAL): a row for each day, scope, model and layer. With a key the rows are sealed one
// by one, and found by a keyed mark (docs/formats/ledger.md); days and the number of rows can be seen then, no more.
// Threads: one at a time.  Errors: kForbidden: it is sealed under a key that is not given, or must not be plain;
// kUnavailable: SQLite's own. Nothing is changed then.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "record/ledger.h"
#include "seal/keys.h"
#include "seal/sealer.h"

struct sqlite3;
struct sqlite3_stmt;

namespace payonce::record {

struct Sums {
  int64_t requests = 0, input = 0, output = 0;
  double usd = 0;
  void add(const Sums& more);
};
inline constexpr char kSeparator = '\x1f';
using Book = std::unordered_map<std::string, Sums>;  // day␟scope␟model␟layer → sums
// That key, in place of what `key` held.
void write_key(std::string& key, std::string_view day, std::string_view scope, std::string_view model,
               std::string_view layer);

class LedgerFile {
 public:
  // What is not sealed under the first key, is written anew under it.
  static base::Result<std::unique_ptr<LedgerFile>> open(const std::string& path, const seal::Protection& protection);
  ~LedgerFile();

  base::Status add(const Book& rows);  // all or none
  // From that day on, of all scopes or one; the newest day first, the most money first.
  std::vector<LedgerRow> rows(const std::string& from_day, std::string_view scope);
  uint64_t take_faults();  // sealed rows that failed their check since it was last asked

 private:
  struct Row {
    std::string day, scope, model, layer;
  };
  LedgerFile() = default;
  base::Status open_database(const std::string& path);
  base::Status prepare_tables(const seal::Protection& protection);
  base::Status rewrite(const std::string& path, const seal::Protection& protection);
  std::string error() const;
  base::Status run(const char* sql);
  base::Result<std::string> sealed_header();  // empty: not sealed
  bool has_plain_rows();
  bool add_plain(sqlite3_stmt* statement, const Row& row, const Sums& sums);
  bool add_sealed(sqlite3_stmt* find, sqlite3_stmt* put, const Row& row, Sums sums);
  std::vector<LedgerRow> plain_rows(const std::string& from_day, std::string_view scope);
  std::vector<LedgerRow> sealed_rows(const std::string& from_day);
  bool open_box(const std::string& day, const std::string& mark, const std::string& box, LedgerRow& out);

  sqlite3* db_ = nullptr;
  std::unique_ptr<const seal::Sealer> sealer_;  // null: rows are plain
  bool stale_ = false;                          // to be written anew under the first key
  uint64_t faults_ = 0;
};

}  // namespace payonce::record
