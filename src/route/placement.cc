#include "route/placement.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "route/place.h"

namespace payonce::route {
namespace {

using Stops = std::span<Stop>;
constexpr std::string_view kMoveNames[] = {"none", "sticky", "balanced", "cheaper", "spilled"};

// What a replica computed lately, it will be asked for again soon: sessions go on. Without this term new sessions
// gather where the first one brought their common front.
constexpr double kRecent = 0.5;
constexpr double kHalfLife_ms = 10'000;

double recent_tokens(const Place& place, int64_t now_ms) {
  return place.recent_tokens * std::exp2(-static_cast<double>(now_ms - place.recent_ms) / kHalfLife_ms);
}

// FNV-1a: the same in every process, so that two gateways prefer the same upstream for a new prefix.
uint64_t id_of(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

uint64_t mixed(uint64_t x) {  // the finaliser of SplitMix64 (Steele et al. 2014)
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

bool is_better(const Stop& a, const Stop& b) {
  return a.score != b.score ? a.score < b.score : a.cached_tokens > b.cached_tokens;
}

// The first stays first unless one with the prefix is cheaper, or costs the same; so for each of the rest.
void sort_by_order(Stops stops) {
  for (; stops.size() > 1; stops = stops.subspan(1)) {
    size_t best = 0;
    for (size_t i = 1; i < stops.size(); ++i)
      if (stops[i].cached_tokens > 0 && is_better(stops[i], stops[best])) best = i;
    std::rotate(stops.begin(), stops.begin() + static_cast<ptrdiff_t>(best),
                stops.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

// Of those that are about as quick as the quickest, the one with most of the prefix; then the one that a hash of the
// prompt's front picks (rendezvous hashing: Thaler, Ravishankar 1998).
void sort_by_time(Stops stops, const Chain& chain) {
  std::stable_sort(stops.begin(), stops.end(), is_better);
  if (stops.empty()) return;
  const uint64_t front = chain.empty() ? 0 : chain.front().hash.low;
  const double equal = stops.front().score * (1 + Placement::kEqualShare);
  size_t best = 0;
  for (size_t i = 1; i < stops.size() && stops[i].score <= equal; ++i) {
    const double more = stops[i].cached_tokens - stops[best].cached_tokens;
    const bool wins = mixed(front ^ stops[i].place->id) > mixed(front ^ stops[best].place->id);
    if (more > 0 || (more == 0 && wins)) best = i;
  }
  std::rotate(stops.begin(), stops.begin() + static_cast<ptrdiff_t>(best),
              stops.begin() + static_cast<ptrdiff_t>(best) + 1);
}

// Our counts of tokens are estimates, and an engine keeps whole blocks only.
constexpr uint64_t kSlack = 2;

// What the engine lost is forgotten: everything, or what it cannot hold any more.
void hold_against(Place& place, const Told& told) {
  if (std::exchange(place.losses, told.losses) != told.losses) place.memory.shrink_to(0);
  if (told.complete) place.memory.shrink_to(kSlack * told.tokens);
}

// What is cached there of a prompt of so many tokens. The engine's word stands, but for what is on its way there, and
// for what lies behind the tokens that are known; where it may hold more than it told, the guess may be right, too.
void correct(PrefixMemory::Found& found, const Told& told, double tokens) {
  constexpr double kAll = 0.9;  // the last block is not whole
  const auto held = static_cast<uint32_t>(told.held * tokens);
  const bool open_end = told.known < 1 && told.held >= kAll * told.known;
  const bool on_its_way = found.links > 0 && !found.served;
  const bool final_word = told.complete && told.known > 0 && !open_end && !on_its_way;
  if (!final_word && held <= found.tokens) return;
  found.tokens = held;
  found.served = held > 0;
}

// REQUIRES: not empty; sorted, `first` is the one of the configuration.
Moved moved_of(Stops stops, const Asked& asked, const Upstream* first) {
  const Stop& chosen = stops.front();
  const auto most = std::max_element(stops.begin(), stops.end(),
                                     [](const Stop& a, const Stop& b) { return a.cached_tokens < b.cached_tokens; });
  if (most->cached_tokens > chosen.cached_tokens)
    return asked.policy == RoutingPolicy::kBalance ? Moved::kBalanced : Moved::kCheaper;
  const bool anyway = asked.policy == RoutingPolicy::kOrder && chosen.candidate.upstream.get() == first;
  return chosen.cached_tokens > 0 && !anyway && stops.size() > 1 ? Moved::kSticky : Moved::kNo;
}

}  // namespace

std::string_view move_name(Moved moved) { return kMoveNames[static_cast<size_t>(moved)]; }

Placement::Placement(Options options) : options_(options) {
  if (options_.metrics == nullptr) return;
  for (size_t i = 1; i < kMoves; ++i)
    moved_total_[i] = options_.metrics->counter("payonce_route_moves_total", {{"why", std::string(kMoveNames[i])}});
}

std::shared_ptr<Place> Placement::place_of(const Upstream& upstream, int64_t now_ms) {
  const std::string key = upstream.name + "\n" + upstream.identity;
  std::shared_ptr<Place>& slot = places_[key];
  if (slot) {
    slot->asked_ms = now_ms;
    return slot;
  }
  slot = std::make_shared<Place>(options_.max_positions);
  slot->name = upstream.name;
  slot->id = id_of(key);
  slot->asked_ms = now_ms;
  if (options_.metrics != nullptr)
    slot->in_flight_gauge = options_.metrics->gauge("payonce_route_in_flight", {{"upstream", upstream.name}});
  const std::shared_ptr<Place> made = slot;
  if (places_.size() > options_.max_upstreams) {
    const auto oldest = std::min_element(places_.begin(), places_.end(), [&](const auto& a, const auto& b) {
      return std::pair(a.second == made, a.second->asked_ms) < std::pair(b.second == made, b.second->asked_ms);
    });
    places_.erase(oldest);  // a request on its way there keeps it
  }
  return made;
}

double Placement::mean_us_per_token() const {
  double sum = 0;
  size_t known = 0;
  for (const auto& [key, place] : places_) {
    if (place->us_per_token <= 0) continue;
    sum += place->us_per_token;
    ++known;
  }
  return known > 0 ? sum / static_cast<double>(known) : 1;
}

// What a conversation has ahead: as many turns as it had, and each as long as this one, or as the mean.
Turns Placement::ahead(const Asked& asked, std::span<const Stop> stops) const {
  const double tokens = asked.chain.empty() ? 0 : asked.chain.back().tokens;
  const double turns = std::max<uint32_t>(asked.turns, 1);
  double grown = tokens / turns;
  for (const Stop& stop : stops) grown = std::min(grown, tokens - stop.found.tokens);
  return {.tokens = tokens, .grown = grown, .output = output_tokens_, .left = std::min(turns, kMaxTurnsLeft)};
}

std::vector<Stop> Placement::look(const Asked& asked, int64_t now_ms) {
  std::vector<Stop> stops;
  const double tokens = asked.chain.empty() ? 0 : asked.chain.back().tokens;
  for (const Candidate& candidate : asked.candidates) {
    Stop stop{.candidate = candidate, .place = place_of(*candidate.upstream, now_ms)};
    Place& place = *stop.place;
    stop.open = candidate.upstream->breaker->is_open(now_ms);
    if (candidate.told) hold_against(place, *candidate.told);
    stop.found = place.memory.find(asked.chain, candidate.account, candidate.ttl_ms, now_ms);
    if (candidate.told) correct(stop.found, *candidate.told, tokens);
    if (stop.found.tokens < candidate.min_tokens) stop.found = {};
    // Where time decides, what is lost shows as the cache's size; where money decides, as the share that is billed.
    stop.cached_tokens = (asked.policy == RoutingPolicy::kBalance ? 1 : place.kept) * stop.found.tokens;
    stops.push_back(std::move(stop));
  }
  const Turns ahead = this->ahead(asked, stops);
  const double unmeasured_us = mean_us_per_token();
  for (Stop& stop : stops) {
    const Place& place = *stop.place;
    if (asked.policy == RoutingPolicy::kBalance)
      stop.score = (place.us_per_token > 0 ? place.us_per_token : unmeasured_us) *
                   (place.queue_tokens + kRunning_tokens * static_cast<double>(place.in_flight) +
                    kRecent * recent_tokens(place, now_ms) + kRecompute * (ahead.tokens - stop.cached_tokens));
    else
      stop.score = true_cost(stop.candidate.rates, stop.cached_tokens, ahead);
  }
  return stops;
}

std::unique_ptr<Trip> Placement::plan(Asked asked, int64_t now_ms) {
  const std::lock_guard lock(mutex_);
  std::vector<Stop> stops = look(asked, now_ms);
  const auto open = std::stable_partition(stops.begin(), stops.end(), [](const Stop& stop) { return !stop.open; });
  const Stops working(stops.begin(), open);
  const Stops ranked = working.empty() ? Stops(stops) : working;  // all open: as good as any
  const Upstream* first = ranked.front().candidate.upstream.get();
  switch (asked.policy) {
    case RoutingPolicy::kOrder: sort_by_order(ranked); break;
    case RoutingPolicy::kBalance: sort_by_time(ranked, asked.chain); break;
    case RoutingPolicy::kCost: std::stable_sort(ranked.begin(), ranked.end(), is_better); break;
  }
  const Moved moved = moved_of(ranked, asked, first);
  count(moved);
  Place& place = *stops.front().place;
  place.recent_tokens = recent_tokens(place, now_ms);
  place.recent_ms = now_ms;
  if (!asked.chain.empty()) place.recent_tokens += asked.chain.back().tokens - stops.front().found.tokens;
  place.memory.use(asked.chain, stops.front().candidate.account, PrefixMemory::State::kExpected, now_ms);
  return std::unique_ptr<Trip>(new Trip(shared_from_this(), std::move(asked), std::move(stops), moved));
}

void Placement::count(Moved moved) {
  if (moved == Moved::kNo) return;
  ++moved_[static_cast<size_t>(moved)];
  moved_total_[static_cast<size_t>(moved)].add();
}

Placement::Stats Placement::stats() const {
  const std::lock_guard lock(mutex_);
  Stats out{.moved = moved_};
  for (const auto& [key, place] : places_)
    out.upstreams.push_back({.name = place->name,
                             .in_flight = place->in_flight,
                             .requests = place->requests,
                             .prefixes = place->memory.size(),
                             .us_per_token = place->us_per_token,
                             .expected = place->expected,
                             .read = place->read,
                             .kept = place->kept,
                             .capacity_tokens = static_cast<uint64_t>(place->capacity_tokens)});
  std::ranges::sort(out.upstreams, {}, &UpstreamStats::name);
  return out;
}

}  // namespace payonce::route
