// Sessions of a report: what each cost, and call by call what it found in the provider's cache.
#include <algorithm>
#include <map>

#include "audit/summarise.h"

namespace payonce::audit {

void add_sessions(const ReplayedLog& replay, size_t limit, Report& report) {
  std::map<size_t, int> rebuild_of;  // by request
  for (size_t i = 0; i < report.rebuilds.size(); ++i) rebuild_of[report.rebuilds[i].call] = static_cast<int>(i);
  std::map<std::string_view, SessionShare> by_name;
  std::map<std::string_view, int64_t> had;
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    const history::Call& call = replay.calls[i];
    if (call.session.empty()) continue;
    const Replayed& replayed = replay.replayed[i];
    SessionShare& share = by_name[call.session];
    ++share.requests;
    share.cost += cost_of(call, replayed, replay.options.prices).all;
    const llm::Usage& usage = replayed.actual;
    share.usage.fresh += usage.fresh;
    share.usage.read += usage.read;
    share.usage.write_short += usage.write_short;
    share.usage.write_long += usage.write_long;
    share.usage.output += usage.output;
    int64_t& before = had[call.session];
    const auto rebuild = rebuild_of.find(i);
    share.steps.push_back({.request = i,
                           .at_ms = call.at_ms,
                           .had = before,
                           .usage = usage,
                           .with = replayed.with,
                           .took = replayed.took,
                           .rebuild = rebuild == rebuild_of.end() ? -1 : rebuild->second});
    before = usage.read + usage.write_short + usage.write_long;
  }
  for (auto& [name, share] : by_name) {
    share.name = name;
    report.sessions.push_back(std::move(share));
  }
  report.sessions_in_all = report.sessions.size();
  std::ranges::stable_sort(report.sessions, [](const SessionShare& a, const SessionShare& b) {
    return a.cost.actual != b.cost.actual ? a.cost.actual > b.cost.actual : a.requests > b.requests;
  });
  if (report.sessions.size() > limit) report.sessions.resize(limit);
}

}  // namespace payonce::audit
