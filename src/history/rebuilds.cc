#include "history/rebuilds.h"

#include <algorithm>
#include <array>
#include <unordered_map>

namespace payonce::history {
namespace {

constexpr int64_t kShortMs = 300'000;
constexpr int64_t kLongMs = 3'600'000;

struct Last {
  size_t call = 0;
  int64_t ttl_ms = kShortMs;  // of the class that was written last
};

RebuildCause cause_of(const Call& now, const Call& before, int64_t ttl_ms) {
  if (now.model != before.model) return RebuildCause::kModel;
  if (now.compacted || now.usage.input() * 10 < before.usage.input() * 7) return RebuildCause::kCompact;
  return now.at_ms - before.at_ms > ttl_ms ? RebuildCause::kTtl : RebuildCause::kPrefix;
}

// What the missing tokens cost as they were billed, less what reading them costs.
double extra_usd(const Call& call, int64_t missing, const llm::PriceTable& prices) {
  llm::Usage paid, due;
  const auto take = [&](int64_t of) {
    const int64_t taken = std::min(missing, of);
    missing -= taken;
    due.read += taken;
    return taken;
  };
  paid.write_long = take(call.usage.write_long);
  paid.write_short = take(call.usage.write_short);
  paid.fresh = take(call.usage.fresh);
  const int64_t day = call.at_ms > 0 ? call.at_ms : INT64_MAX;
  const llm::PriceRow* const row = prices.find(call.model, day);
  if (row == nullptr) return 0;
  const llm::Price price = row->at(call.usage.input(), {.batch = call.batch});
  return (static_cast<double>(paid.write_long) * price.cache_write_long +
          static_cast<double>(paid.write_short) * price.cache_write_short +
          static_cast<double>(paid.fresh) * price.input - static_cast<double>(due.read) * price.cache_read) /
         1e6;
}

}  // namespace

std::string_view cause_name(RebuildCause cause) {
  constexpr std::array<std::string_view, 4> kNames = {"model", "compact", "ttl", "prefix"};
  return kNames[static_cast<size_t>(cause)];
}

std::vector<Rebuild> rebuilds(const Log& log, const llm::PriceTable& prices) {
  std::vector<Rebuild> out;
  std::unordered_map<std::string_view, Last> sessions;
  for (size_t i = 0; i < log.calls.size(); ++i) {
    const Call& call = log.calls[i];
    if (call.session.empty() || !call.usage.known || call.from_cache) continue;
    const auto [known, fresh] = sessions.try_emplace(call.session, Last{i});
    Last& last = known->second;
    if (!fresh) {
      const Call& before = log.calls[last.call];
      const int64_t had = before.usage.read + before.usage.write_short + before.usage.write_long;
      const int64_t missing = had - call.usage.read;
      if (call.usage.read * 2 < had && missing >= kMinRebuildTokens)
        out.push_back({.call = i,
                       .previous = last.call,
                       .cause = cause_of(call, before, last.ttl_ms),
                       .had = had,
                       .read = call.usage.read,
                       .wrote = call.usage.write_short + call.usage.write_long,
                       .short_tokens = missing,
                       .gap_ms = call.at_ms - before.at_ms,
                       .cost_usd = extra_usd(call, missing, prices)});
    }
    last.call = i;
    if (call.usage.write_long > 0 || call.usage.write_short > 0)
      last.ttl_ms = call.usage.write_long > 0 ? kLongMs : kShortMs;
  }
  return out;
}

}  // namespace payonce::history
