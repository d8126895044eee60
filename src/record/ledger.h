// What was bought and what was saved, by day (UTC), scope, model and layer: SQLite in WAL mode, DIR/ledger.db.
// Adding only touches memory; a thread of its own writes once a second, so no request waits for the disk. kill -9
// loses at most the last second of the book, never its consistency. Threads: all any.  Errors: a database that cannot
// be opened or written is logged once and counted; the totals of this process go on in memory.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "llm/response.h"
#include "seal/keys.h"

namespace payonce::record {

struct LedgerRow {
  std::string day;    // "2026-11-25"
  std::string scope;  // scope id
  std::string model;
  std::string
      layer;  // "exact", "agent" (the agent API); for what was bought "upstream", and "keep_alive" for pings of ours
  int64_t requests = 0;
  int64_t input_tokens = 0;
  int64_t output_tokens = 0;
  double usd = 0;  // saved; of what was bought: spent
};

class Ledger {
 public:
  // Whoever has a credential that an upstream takes may send ever new model names: the disk must not pay for that.
  // What is new on a day of so many rows is summed by layer, as scope and model "(others)".
  static constexpr size_t kRowsPerDay = 100'000;

  // `directory` empty: in memory only.
  Ledger(const std::string& directory, const base::Clock& clock, base::Metrics& metrics,
         const seal::Protection& protection = {}, size_t rows_per_day = kRowsPerDay);
  ~Ledger();  // writes what is left

  void add_hit(std::string_view scope, std::string_view model, std::string_view layer, const llm::Usage& usage,
               double usd);
  void add_spend(std::string_view scope, std::string_view model, const llm::Usage& usage, double usd,
                 std::string_view layer = "upstream");

  void flush();
  // Rows of the last `days` days (1: today), all scopes or one; flushes first.
  std::vector<LedgerRow> rows(int days, std::string_view scope = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace payonce::record
