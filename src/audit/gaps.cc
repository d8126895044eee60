// How long sessions pause, what each TTL of the provider would have cost with those pauses, and what the log's tokens
// cost at other models.
#include <algorithm>
#include <array>
#include <map>

#include "audit/summarise.h"
#include "prompt_cache/rules.h"

namespace payonce::audit {
namespace {

constexpr std::array<int64_t, 8> kBucketEnds_ms = {10'000,    60'000,    300'000,    600'000,
                                                   1'800'000, 3'600'000, 14'400'000, -1};
constexpr int64_t kPingEvery_ms = 280'000;  // before five minutes are over
constexpr int64_t kLongestKeptAlive_ms = 3'600'000;

// One session's prompt cache under a TTL, in token prices: what is written and read, call by call. A call within the
// TTL reads what was there and writes what is new; a later one writes all of it.
struct Policy {
  std::string_view name;
  int64_t ttl_ms;
  bool long_class;  // written at the price of the long class
  bool kept_alive;  // read once in each short TTL, at most kLongestKeptAlive_ms
  double usd = 0;

  void add(const llm::Usage& usage, int64_t had, int64_t gap_ms, const llm::Price& price) {
    const double write = long_class ? price.cache_write_long : price.cache_write_short;
    const int64_t cached = usage.read + usage.write_short + usage.write_long;
    const bool alive = gap_ms <= ttl_ms || (kept_alive && gap_ms <= kLongestKeptAlive_ms);
    const int64_t read = alive ? std::min(had, cached) : 0;
    usd += (static_cast<double>(read) * price.cache_read + static_cast<double>(cached - read) * write) / 1e6;
    if (!kept_alive || had == 0) return;
    const int64_t pings = std::min(gap_ms, kLongestKeptAlive_ms) / kPingEvery_ms;
    usd += static_cast<double>(pings * had) * price.cache_read / 1e6;
  }
};

bool bills_writes(const llm::Price& price) { return price.cache_write_short > price.input; }

}  // namespace

void add_gaps(const ReplayedLog& replay, Report& report) {
  for (const int64_t end : kBucketEnds_ms) report.gaps.buckets.push_back({.to_ms = end});
  std::array policies = {Policy{"5 minutes", 300'000, false, false}, Policy{"1 hour", 3'600'000, true, false},
                         Policy{"5 minutes, kept alive up to 1 hour", 300'000, false, true}};
  struct Last {
    int64_t at_ms = 0, had = 0;
  };
  std::map<std::pair<std::string_view, std::string_view>, Last> last;  // by session and model
  bool billed = false;
  for (size_t i = 0; i < replay.calls.size(); ++i) {
    const history::Call& call = replay.calls[i];
    if (call.session.empty() || call.at_ms <= 0) continue;
    const llm::Usage& usage = replay.replayed[i].actual;
    Last& before = last[{call.session, call.model}];
    const int64_t gap_ms = before.at_ms == 0 ? 0 : call.at_ms - before.at_ms;
    if (before.at_ms > 0) {
      auto bucket = std::ranges::find_if(report.gaps.buckets,
                                         [&](const GapBucket& b) { return b.to_ms < 0 || gap_ms <= b.to_ms; });
      ++bucket->count;
    }
    const llm::PriceRow* row = price_row(call, replay.options.prices);
    if (row != nullptr && usage.input() > 0) {
      const llm::Price price = row->at(usage.input(), {.batch = call.batch});
      if (bills_writes(price)) {
        billed = true;
        for (Policy& policy : policies) policy.add(usage, before.had, gap_ms, price);
      }
    }
    before = {call.at_ms, usage.read + usage.write_short + usage.write_long};
  }
  if (!billed) return;
  for (const Policy& policy : policies)
    report.gaps.choices.push_back({.name = std::string(policy.name), .cost_usd = policy.usd});
  std::ranges::stable_sort(report.gaps.choices,
                           [](const TtlChoice& a, const TtlChoice& b) { return a.cost_usd < b.cost_usd; });
}

// Reads stay reads, at the other model's price; where it does not bill writes apart they cost its input price, which
// is what the table says of such models.
void add_migration(const ReplayedLog& replay, Report& report) {
  const auto& providers = prompt_cache::Providers::built_in();
  for (const std::string& model : replay.options.prices.models()) {
    Move move{.model = model};
    const bool claude = model.find("claude") != std::string::npos;
    move.provider =
        providers
            .detect("http://localhost", model, claude ? prompt_cache::Wire::kAnthropic : prompt_cache::Wire::kOpenAi)
            ->id;
    const llm::PriceRow* row = replay.options.prices.find(model, report.to_ms > 0 ? report.to_ms : INT64_MAX);
    for (size_t i = 0; row != nullptr && i < replay.calls.size(); ++i) {
      if (replay.calls[i].from_cache) continue;
      const llm::Price price = row->at(replay.replayed[i].actual.input(), {.batch = replay.calls[i].batch});
      move.cost_usd += price.usd(replay.replayed[i].actual);
      move.with_payonce_usd += price.usd(replay.replayed[i].with);
    }
    report.migration.push_back(std::move(move));
  }
  std::ranges::stable_sort(report.migration, [](const Move& a, const Move& b) { return a.cost_usd < b.cost_usd; });
}

}  // namespace payonce::audit
