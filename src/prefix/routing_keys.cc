#include "prefix/routing_keys.h"

#include <fmt/format.h>

#include <algorithm>

#include "prefix/saved_state.h"

namespace payonce::prefix {
namespace {

constexpr int64_t kMaxWays = 64;

// Rendezvous: a session keeps its place when a way is added, but for the share that the new way takes.
int64_t way_of(const base::Hash128& session, int64_t ways) {
  int64_t best = 0;
  uint64_t best_score = 0;
  for (int64_t way = 0; way < ways; ++way) {
    uint64_t score = (session.low ^ (static_cast<uint64_t>(way) * 0x9E3779B97F4A7C15ull)) * 0xBF58476D1CE4E5B9ull;
    score ^= score >> 31;
    if (score < best_score) continue;
    best_score = score;
    best = way;
  }
  return best;
}

}  // namespace

std::string RoutingKeys::key_for(const base::Hash128& site, std::string_view given, const base::Hash128& session,
                                 int64_t rate_per_minute, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  Site* known = sites_.find(site);
  if (known == nullptr)
    known =
        &sites_.insert(site, {.key = given.empty() ? fmt::format("payonce-{:016x}", site.low) : std::string(given)});
  const int64_t minute = now_ms / 60'000;
  if (minute != known->minute) {
    // Fewer ways only when half would do: a key that comes and goes is a cache that comes and goes.
    if (rate_per_minute > 0 && known->requests * 2 < known->ways * rate_per_minute && known->ways > 1) --known->ways;
    known->minute = minute;
    known->requests = 0;
  }
  ++known->requests;
  if (rate_per_minute > 0 && known->requests > known->ways * rate_per_minute)
    known->ways = std::min(known->ways + 1, kMaxWays);
  const int64_t way = way_of(session, known->ways);
  return way == 0 ? known->key : fmt::format("{}-{}", known->key, way);
}

void RoutingKeys::save(std::string& out) {
  const std::lock_guard lock(mutex_);
  base::put_number(out, static_cast<uint32_t>(sites_.size()));
  sites_.for_each([&](const base::Hash128& id, const Site& site) {
    put_hash(out, id);
    put_text(out, site.key);
    base::put_number(out, site.ways);
  });
}

bool RoutingKeys::load(base::NumberReader& from) {
  const std::lock_guard lock(mutex_);
  for (auto left = from.number<uint32_t>(); left > 0 && from.ok(); --left) {
    const base::Hash128 id = take_hash(from);
    Site site{.key = take_text(from)};
    site.ways = std::clamp<int64_t>(from.number<int64_t>(), 1, kMaxWays);
    if (from.ok()) sites_.insert(id, std::move(site));
  }
  return from.ok();
}

}  // namespace payonce::prefix
