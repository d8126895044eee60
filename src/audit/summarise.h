// From the calls of a log and their replay to the figures of a report.  Threads: pure functions.
#pragma once

#include <span>

#include "audit/report.h"

namespace payonce::audit {

struct ReplayedLog {  // of one log
  std::span<const history::Call> calls;
  const std::vector<Replayed>& replayed;
  const Options& options;
};

// Sums, layers, latency, models, the simulator's error.
void add_totals(const ReplayedLog& replay, Report& report);
// Sessions with their lines of time. REQUIRES: report.rebuilds is filled in.
void add_sessions(const ReplayedLog& replay, size_t limit, Report& report);
// Equal requests, paraphrases, repeated tool calls. `show_text`: with excerpts of what was asked.
void add_repeats(const ReplayedLog& replay, const history::Log& log, bool show_text, Report& report);
// Gaps between a session's calls and what each TTL would have cost.
void add_gaps(const ReplayedLog& replay, Report& report);
// The same tokens at other models' prices.
void add_migration(const ReplayedLog& replay, Report& report);

// With-latency of one call in ms, where the log tells its latency.
double with_latency_ms(const history::Call& call, const Replayed& replayed, const LatencyModels& models);
// What the replay as a whole costs, for comparing settings.
struct Sum {
  Money cost;
  double latency_mean_ms = 0;
  size_t hits = 0;
};
Sum sum_of(const ReplayedLog& replay, const LatencyModels& models);

}  // namespace payonce::audit
