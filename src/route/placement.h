// Where a request goes among the upstreams that may serve it, when it counts where its prefix was computed before.
//
// Policies (docs/routing.md says why, with figures):
// - order: the first of the configuration that works, the others for failover. A conversation stays where its prefix
//   is, also after a failover, unless going back is cheaper with the rebuilding of the prefix (true_cost.h).
// - balance: replicas of one model. The least expected time wins: (prompt tokens that wait there + kRunning_tokens
//   for each request in flight + half of what it was given to compute in the last seconds + kRecompute × the tokens
//   that are not cached there) × its time per token. Within kEqualShare of the least, the longest cached prefix wins,
//   then a hash of the prompt's front, so that new equal prefixes meet. A linear score of queue and missing prefix is
//   what Mooncake (Qin et al., FAST'25, algorithm 1) and NVIDIA Dynamo's KV router minimise; kRecompute counts the
//   missing prefix more than once, since who comes next waits for it as well. SGLang's router (smg) goes by prefix
//   alone until the counts of requests differ too much.
// - cost: the least true cost.
// What an engine tells of its cache itself comes before what is believed of it (Told).
// Upstreams whose breaker is open come last under each. What is believed of a cache is held against the bills: where
// less than half of what was expected was read, all that was not used since is forgotten, and what is left is taken
// for the cache's size, which grows again by kCapacityGrowth with each prompt that was read as expected.
//
// Threads: all any; one lock, held for look-ups in memory.  Bounded: `max_upstreams` times `max_positions`.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "base/metrics.h"
#include "llm/response.h"
#include "route/prefix_memory.h"
#include "route/routes.h"
#include "route/true_cost.h"

namespace payonce::route {

enum class RoutingPolicy : uint8_t { kOrder, kBalance, kCost };
inline constexpr std::array<std::pair<std::string_view, RoutingPolicy>, 3> kRoutingPolicies{
    {{"order", RoutingPolicy::kOrder}, {"balance", RoutingPolicy::kBalance}, {"cost", RoutingPolicy::kCost}}};

// What an engine itself says of its cache (KV events). Shares are of the prompt's tokens.
struct Told {
  uint64_t losses = 0;    // how often it lost everything
  bool complete = false;  // what it holds is known to the last block; false: it may hold more
  uint64_t tokens = 0;    // that it holds
  double known = 0;       // from the prompt's front, whose token ids are known; 0: none
  double held = 0;        // of these, from the front, that it holds
};

// One that may serve a request, and what its cache and its prices are for it.
struct Candidate {
  UpstreamPtr upstream;
  base::Hash128 account;   // whose prompt cache, for which model: caches of two share nothing
  int64_t ttl_ms = 0;      // since the last use; 0: until evicted
  int64_t min_tokens = 0;  // a shorter prefix is not cached
  Rates rates;
  std::optional<Told> told;  // nothing: its cache is guessed
};

struct Asked {
  RoutingPolicy policy = RoutingPolicy::kOrder;
  std::vector<Candidate> candidates;  // in the order of the configuration; never empty
  Chain chain;                        // empty: nothing is known of the prompt
  uint32_t turns = 1;                 // of the conversation so far, this one among them
  bool stream = false;                // its first byte tells how long the prompt took
};

// Why a request does not go to the first of the configuration, or not to where its prefix is.
enum class Moved : uint8_t {
  kNo,
  kSticky,    // it stays with its prefix
  kBalanced,  // another is idle enough to be quicker in spite of the prefix
  kCheaper,   // another is cheaper in spite of the prefix
  kSpilled,   // the one that was chosen failed or refused; another answered
};
inline constexpr size_t kMoves = 5;
std::string_view move_name(Moved moved);

struct Place;  // place.h: what is known of one upstream
struct Stop;   // place.h: what is known of one candidate for one request
class Trip;

class Placement : public std::enable_shared_from_this<Placement> {
 public:
  struct Options {
    size_t max_positions = 65'536;  // of each upstream
    size_t max_upstreams = 256;     // the one that was not asked for longest goes first
    base::Metrics* metrics = nullptr;
  };
  explicit Placement(Options options);

  // Ranks the candidates and begins the request's trip. It remembers at once that the first will have the prefix, so
  // that equal prefixes on their way together meet.
  std::unique_ptr<Trip> plan(Asked asked, int64_t now_ms);

  struct UpstreamStats {
    std::string name;
    int64_t in_flight = 0;
    uint64_t requests = 0;         // that it answered
    size_t prefixes = 0;           // positions believed to be cached
    double us_per_token = 0;       // of prompts that are not cached, to the first byte; 0: not measured yet
    uint64_t expected = 0;         // prompt tokens that were believed to be cached, where the bill tells
    uint64_t read = 0;             // of these, that were
    double kept = 1;               // the recent share of them
    uint64_t capacity_tokens = 0;  // of its cache, as losses have told; 0: nothing was lost yet
  };
  struct Stats {
    std::vector<UpstreamStats> upstreams;  // by name
    std::array<uint64_t, kMoves> moved{};
  };
  Stats stats() const;

  static constexpr double kRecompute = 1.5;       // how often a missing token counts
  static constexpr double kRunning_tokens = 128;  // what a request in flight is worth
  static constexpr double kEqualShare = 0.1;      // times that differ by less are the same
  static constexpr double kCapacityGrowth = 1.001;
  static constexpr double kMaxTurnsLeft = 8;  // after as many turns a conversation is expected to have as many again

 private:
  friend class Trip;
  std::shared_ptr<Place> place_of(const Upstream& upstream, int64_t now_ms);
  std::vector<Stop> look(const Asked& asked, int64_t now_ms);
  Turns ahead(const Asked& asked, std::span<const Stop> stops) const;
  double mean_us_per_token() const;
  void count(Moved moved);

  const Options options_;
  mutable std::mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Place>> places_;  // guarded by mutex_, and all in them
  std::array<uint64_t, kMoves> moved_{};                            // guarded by mutex_
  double output_tokens_ = 500;                                      // mean of recent answers; guarded by mutex_
  std::array<base::Counter, kMoves> moved_total_;
};

// One request on its way through its candidates.  Threads: one at a time, but for billed().
class Trip {
 public:
  Trip(const Trip&) = delete;
  Trip& operator=(const Trip&) = delete;
  ~Trip();  // a prefix that was sent and not answered is forgotten

  const std::vector<UpstreamPtr>& order() const { return order_; }  // the best first
  Moved moved() const { return moved_; }
  int64_t expected_tokens() const;  // of the prompt, believed to be cached where it goes

  void began(const UpstreamPtr& upstream, int64_t now_us);    // a try
  void answered(int64_t now_ms, int64_t now_us);              // its first byte came, and it is no refusal
  void ended();                                               // the try is over, however
  void billed(const llm::Usage& usage);                       // after answered()
  const UpstreamPtr& at() const { return order_[current_]; }  // of the latest try

 private:
  friend class Placement;
  Trip(std::shared_ptr<Placement> placement, Asked asked, std::vector<Stop> stops, Moved moved);
  double missing_tokens(const Stop& stop) const;
  void end();  // REQUIRES: the placement's lock

  const std::shared_ptr<Placement> placement_;
  std::vector<Stop> stops_;  // the best first
  std::vector<UpstreamPtr> order_;
  const Chain chain_;
  const bool stream_;
  const Moved moved_;
  size_t current_ = 0;
  bool running_ = false;       // a try counts as in flight
  double waiting_tokens_ = 0;  // what it added to the queue
  double queue_tokens_ = 0;    // that queue when it began, with its own
  int64_t began_us_ = 0;
  bool answered_ = false;
};

}  // namespace payonce::route
