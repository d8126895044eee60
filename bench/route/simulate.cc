// A block trace over simulated replicas: what each way to route gives in reused tokens and in time to the first
// token.
//
//   route_simulate TRACE.jsonl [--replicas 4] [--blocks 2000] [--tokens-per-s 10000] [--speed 1]
//
// Rows of the trace: {timestamp (ms), input_length, output_length, hash_ids (one a 512-token block, chained),
// session?, turn?}. A replica computes prompts one after the other at `tokens-per-s`, holds `blocks` blocks and
// evicts the one that was not used for longest (of one prompt its end first), and needs 20 ms for each token of an
// answer, whatever else it does. `speed` shortens the time between arrivals. Everything follows from the trace: no
// randomness.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <queue>
#include <string>
#include <vector>

#include "base/lru_map.h"
#include "route/placement.h"

namespace payonce::route {
namespace {

constexpr uint32_t kBlock_tokens = 512;
constexpr int64_t kDecode_us = 20'000;  // for each token of an answer

struct Row {
  int64_t at_us = 0;
  uint32_t tokens = 0, output = 0, turn = 0;
  int64_t session = -1;
  std::vector<uint64_t> blocks;
};

struct Setup {
  std::string file;
  size_t replicas = 4, blocks = 2000;
  double tokens_per_s = 10'000, speed = 1;
};

std::vector<Row> read_trace(const Setup& setup) {
  std::vector<Row> out;
  std::ifstream in(setup.file);
  for (std::string line; std::getline(in, line);) {
    const boost::json::object row = boost::json::parse(line).as_object();
    const auto number = [&](std::string_view name) { return row.at(name).to_number<int64_t>(); };
    Row made{.at_us = static_cast<int64_t>(static_cast<double>(number("timestamp")) * 1000 / setup.speed),
             .tokens = static_cast<uint32_t>(number("input_length")),
             .output = static_cast<uint32_t>(number("output_length"))};
    if (row.contains("session")) made.session = number("session");
    if (row.contains("turn")) made.turn = static_cast<uint32_t>(number("turn"));
    for (const auto& id : row.at("hash_ids").as_array()) made.blocks.push_back(id.to_number<uint64_t>());
    out.push_back(std::move(made));
  }
  std::ranges::stable_sort(out, {}, &Row::at_us);
  return out;
}

base::Hash128 hash_of(uint64_t block) { return {block * 0x9e3779b97f4a7c15, block}; }

// One engine: its cache and the end of its queue.
struct Replica {
  explicit Replica(size_t blocks) : cache(blocks) {}
  base::LruMap<char> cache;
  int64_t busy_until_us = 0;
  int64_t in_flight = 0;
  uint64_t tokens = 0;  // that it computed

  uint32_t cached_tokens(const Row& row) const {
    size_t found = 0;
    while (found < row.blocks.size() && cache.peek(hash_of(row.blocks[found])) != nullptr) ++found;
    return std::min(static_cast<uint32_t>(found) * kBlock_tokens, row.tokens - 1);
  }
  void keep(const Row& row) {
    for (size_t i = row.blocks.size(); i-- > 0;) {
      const base::Hash128 key = hash_of(row.blocks[i]);
      if (cache.find(key) == nullptr) cache.insert(key, 0);
    }
  }
};

class Router {  // what is under test
 public:
  virtual ~Router() = default;
  virtual size_t choose(const Row& row, std::vector<Replica>& replicas) = 0;
  // Events of the request that was chosen for last, and of one that answered with so many cached tokens.
  virtual std::function<void(int64_t, bool)> follow(const Row&, uint32_t) {
    return [](int64_t, bool) {};
  }
};

struct RoundRobin final : Router {
  size_t choose(const Row&, std::vector<Replica>& replicas) override { return next++ % replicas.size(); }
  size_t next = 0;
};

size_t least_loaded(const std::vector<Replica>& replicas) {
  return static_cast<size_t>(std::ranges::min_element(replicas, {}, &Replica::in_flight) - replicas.begin());
}

struct LeastLoad final : Router {
  size_t choose(const Row&, std::vector<Replica>& replicas) override { return least_loaded(replicas); }
};

// By a hash of the session, as a client's session header or prompt_cache_key would have it.
struct SessionHash final : Router {
  size_t choose(const Row& row, std::vector<Replica>& replicas) override {
    return static_cast<size_t>(hash_of(static_cast<uint64_t>(row.session) + 1).low >> 32) % replicas.size();
  }
};

// By a hash of the front, so many blocks of it.
struct FrontHash final : Router {
  size_t choose(const Row& row, std::vector<Replica>& replicas) override {
    return static_cast<size_t>(hash_of(row.blocks.front() + 1).low >> 32) % replicas.size();
  }
};

// SGLang's router (smg, policy cache_aware with its defaults): the longest prefix if it is at least 0.3 of the
// prompt, unless the counts of requests differ by more than 64 and by half; else the least loaded. Here with true
// knowledge of the caches, which favours it.
struct CacheAware final : Router {
  size_t choose(const Row& row, std::vector<Replica>& replicas) override {
    const auto [low, high] = std::ranges::minmax_element(replicas, {}, &Replica::in_flight);
    const bool uneven = high->in_flight - low->in_flight > 64 &&
                        static_cast<double>(high->in_flight) > 1.5 * static_cast<double>(low->in_flight);
    size_t best = 0;
    for (size_t i = 1; i < replicas.size(); ++i)
      if (replicas[i].cached_tokens(row) > replicas[best].cached_tokens(row)) best = i;
    const bool much = replicas[best].cached_tokens(row) >= 0.3 * row.tokens;
    return uneven || !much ? least_loaded(replicas) : best;
  }
};

// Ours, with nothing but what a gateway sees; or with what engines tell of their caches (KV events).
class Balance final : public Router {
 public:
  explicit Balance(size_t replicas, bool told = false) : told_(told) {
    for (size_t i = 0; i < replicas; ++i) {
      auto upstream = std::make_shared<Upstream>();
      upstream->name = upstream->identity = std::to_string(i);
      candidates_.push_back({.upstream = std::move(upstream)});
    }
  }
  size_t choose(const Row& row, std::vector<Replica>& replicas) override {
    for (size_t i = 0; told_ && i < replicas.size(); ++i)
      candidates_[i].told = Told{.complete = true,
                                 .tokens = replicas[i].cache.size() * kBlock_tokens,
                                 .known = 1,
                                 .held = static_cast<double>(replicas[i].cached_tokens(row)) / row.tokens};
    Chain chain;
    for (size_t i = 0; i < row.blocks.size(); ++i)
      chain.push_back({hash_of(row.blocks[i]), std::min(row.tokens, static_cast<uint32_t>(i + 1) * kBlock_tokens)});
    trip_ = placement_->plan({.policy = RoutingPolicy::kBalance,
                              .candidates = candidates_,
                              .chain = thinned(std::move(chain)),
                              .turns = row.turn + 1,
                              .stream = true},
                             row.at_us / 1000);
    trip_->began(trip_->order().front(), row.at_us);
    return static_cast<size_t>(std::stoul(trip_->at()->name));
  }
  std::function<void(int64_t, bool)> follow(const Row& row, uint32_t cached) override {
    const llm::Usage usage{
        .fresh = row.tokens - cached, .read = cached, .output = row.output, .known = true, .read_known = true};
    return [trip = std::shared_ptr<Trip>(std::move(trip_)), usage](int64_t now_us, bool whole) {
      if (!whole) return trip->answered(now_us / 1000, now_us);
      trip->billed(usage);
      trip->ended();
    };
  }
  uint64_t moved(Moved why) const { return placement_->stats().moved[static_cast<size_t>(why)]; }

 private:
  const bool told_;
  std::shared_ptr<Placement> placement_ = std::make_shared<Placement>(Placement::Options{});
  std::vector<Candidate> candidates_;
  std::unique_ptr<Trip> trip_;
};

// Several gateways that know nothing of each other and get the requests in turns.
class Gateways final : public Router {
 public:
  Gateways(size_t count, size_t replicas, bool told) {
    for (size_t i = 0; i < count; ++i) gateways_.push_back(std::make_unique<Balance>(replicas, told));
  }
  size_t choose(const Row& row, std::vector<Replica>& replicas) override {
    last_ = (last_ + 1) % gateways_.size();
    return gateways_[last_]->choose(row, replicas);
  }
  std::function<void(int64_t, bool)> follow(const Row& row, uint32_t cached) override {
    return gateways_[last_]->follow(row, cached);
  }

 private:
  std::vector<std::unique_ptr<Balance>> gateways_;
  size_t last_ = 0;
};

struct Event {
  int64_t at_us = 0;
  std::function<void()> happen;
  bool operator>(const Event& other) const { return at_us > other.at_us; }
};

struct Result {
  double hit_rate = 0, ttft_mean_s = 0, ttft_p95_s = 0;
  double busiest = 0;  // the most that one replica computed, of the mean
};

Result run(const std::vector<Row>& rows, const Setup& setup, Router& router, size_t replica_count, size_t blocks) {
  std::vector<Replica> replicas;
  replicas.reserve(replica_count);
  for (size_t i = 0; i < replica_count; ++i) replicas.emplace_back(blocks);
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events;
  std::vector<double> waits_s;
  uint64_t cached_total = 0, tokens_total = 0;
  const auto happen_until = [&](int64_t now_us) {
    while (!events.empty() && events.top().at_us <= now_us) {
      const auto happen = events.top().happen;
      events.pop();
      happen();
    }
  };
  const double rate = setup.tokens_per_s * static_cast<double>(setup.replicas) / static_cast<double>(replica_count);
  for (const Row& row : rows) {
    happen_until(row.at_us);
    Replica& replica = replicas[router.choose(row, replicas)];
    const uint32_t cached = replica.cached_tokens(row);
    replica.keep(row);
    replica.tokens += row.tokens - cached;
    replica.in_flight += 1;
    const int64_t first_us =
        std::max(row.at_us, replica.busy_until_us) + static_cast<int64_t>(1e6 * (row.tokens - cached) / rate);
    replica.busy_until_us = first_us;
    waits_s.push_back(static_cast<double>(first_us - row.at_us) / 1e6);
    cached_total += cached;
    tokens_total += row.tokens;
    const auto tell = router.follow(row, cached);
    events.push({first_us, [tell, first_us] { tell(first_us, false); }});
    const int64_t end_us = first_us + kDecode_us * row.output;
    events.push({end_us, [tell, end_us, &replica] {
                   tell(end_us, true);
                   replica.in_flight -= 1;
                 }});
  }
  happen_until(INT64_MAX);
  Result out{.hit_rate = static_cast<double>(cached_total) / static_cast<double>(tokens_total)};
  for (const double wait_s : waits_s) out.ttft_mean_s += wait_s / static_cast<double>(waits_s.size());
  std::ranges::sort(waits_s);
  out.ttft_p95_s = waits_s[waits_s.size() * 95 / 100];
  const auto busiest = std::ranges::max_element(replicas, {}, &Replica::tokens);
  out.busiest = static_cast<double>(busiest->tokens) * static_cast<double>(replica_count) /
                static_cast<double>(tokens_total - cached_total);
  return out;
}

void report(std::string_view name, const Result& result) {
  fmt::print("| {} | {:.3f} | {:.2f} | {:.2f} | {:.2f} |\n", name, result.hit_rate, result.ttft_mean_s,
             result.ttft_p95_s, result.busiest);
}

void compare(const Setup& setup) {
  const std::vector<Row> rows = read_trace(setup);
  if (rows.empty()) {
    fmt::print(stderr, "{}: no rows\n", setup.file);
    std::exit(1);
  }
  fmt::print("{} replicas of {} blocks, {} tokens/s each, arrivals times {}\n\n", setup.replicas, setup.blocks,
             setup.tokens_per_s, setup.speed);
  fmt::print(
      "| router | token hit rate | TTFT mean, s | TTFT p95, s | busiest replica / mean |\n|---|---|---|---|---|\n");
  const auto show = [&](std::string_view name, Router& router) {
    report(name, run(rows, setup, router, setup.replicas, setup.blocks));
  };
  RoundRobin round_robin;
  LeastLoad least_load;
  FrontHash front;
  SessionHash session;
  CacheAware cache_aware;
  Balance balance(setup.replicas);
  show("round robin", round_robin);
  show("least requests in flight", least_load);
  show("hash of the first block", front);
  if (rows.front().session >= 0) show("hash of the session id", session);
  show("SGLang's rule, all-knowing", cache_aware);
  show("balance", balance);
  Balance told(setup.replicas, true);
  show("balance with KV events", told);
  constexpr size_t kGateways = 4;
  Gateways apart(kGateways, setup.replicas, false), apart_told(kGateways, setup.replicas, true);
  show("balance in four gateways", apart);
  show("balance in four gateways with KV events", apart_told);
  RoundRobin one;
  report("one cache of the same size, one queue as quick as all",
         run(rows, setup, one, 1, setup.blocks * setup.replicas));
  fmt::print("\nmoved: sticky {}, balanced {}\n", balance.moved(Moved::kSticky), balance.moved(Moved::kBalanced));
}

}  // namespace
}  // namespace payonce::route

int main(int argc, char** argv) {
  payonce::route::Setup setup;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (!name.starts_with("--")) {
      setup.file = name;
      continue;
    }
    const double value = i + 1 < argc ? std::atof(argv[++i]) : 0;
    if (name == "--replicas") setup.replicas = static_cast<size_t>(value);
    if (name == "--blocks") setup.blocks = static_cast<size_t>(value);
    if (name == "--tokens-per-s") setup.tokens_per_s = value;
    if (name == "--speed") setup.speed = value;
  }
  payonce::route::compare(setup);
}
