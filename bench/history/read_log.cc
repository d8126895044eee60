// history_read [--repeat N] PATH…
//
// Reads logs with the readers of src/history and prints one JSON line: bytes, seconds of the best of N runs, MB/s,
// and what was counted, so that another reader's counts can be compared. bench/history/compare.py runs it beside one.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "history/rebuilds.h"
#include "history/totals.h"

int main(int count, char** arguments) {
  namespace history = payonce::history;
  int repeat = 3;
  std::vector<std::string> paths;
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--repeat") == 0 && i + 1 < count)
      repeat = std::max(1, std::atoi(arguments[++i]));
    else
      paths.emplace_back(arguments[i]);
  }
  if (paths.empty()) {
    (void)std::fputs("usage: history_read [--repeat N] PATH…\n", stderr);
    return 2;
  }
  const auto prices = payonce::llm::PriceTable::built_in();
  double best_s = 1e9;
  uint64_t bytes = 0;
  history::Totals totals;
  uint64_t skipped = 0, repeated = 0;
  size_t rebuilds = 0;
  for (int run = 0; run < repeat; ++run) {
    const auto start = std::chrono::steady_clock::now();
    const history::Log log = history::read(paths);
    totals = history::totals(log, prices);
    best_s = std::min(best_s, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    rebuilds = history::rebuilds(log, prices).size();
    bytes = log.bytes_read;
    skipped = log.skipped_count();
    repeated = log.duplicates.total();
  }
  fmt::print(
      "{{\"bytes\":{},\"seconds\":{:.4f},\"mb_per_s\":{:.1f},\"requests\":{},\"fresh\":{},\"read\":{},"
      "\"write_short\":{},\"write_long\":{},\"output\":{},\"cost_usd\":{:.4f},\"skipped\":{},\"duplicates\":{},"
      "\"rebuilds\":{}}}\n",
      bytes, best_s, static_cast<double>(bytes) / 1e6 / best_s, totals.requests, totals.usage.fresh,
      totals.usage.read, totals.usage.write_short, totals.usage.write_long, totals.usage.output, totals.cost_usd,
      skipped, repeated, rebuilds);
  return 0;
}
