#include "retrieval/retrieval_stage.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <utility>

#include "base/hash.h"
#include "base/logistic.h"
#include "retrieval/result_list.h"
#include "retrieval/seed.h"

namespace payonce::retrieval {
namespace {

constexpr size_t kParaphraseNeighbours = 5;
constexpr double kSureProbability = 0.95;        // as the semantic layer is without evidence (Calibrator::kStrict)
constexpr float kParaphraseVectorCosine = 0.8F;  // of the queries' own vectors, where both have one
constexpr size_t kSeeds = 3;
constexpr float kSeedCosine = 0.7F;
constexpr int64_t kLateWrite_ms = 1000;

// Lengths in front, so that no part can pretend to be two.
std::string hash_of(std::initializer_list<std::string_view> parts) {
  base::Sha256 hash;
  for (const std::string_view part : parts) {
    hash.update(std::to_string(part.size()) + ":");
    hash.update(part);
  }
  return base::hex(hash.finish());
}

double cosine_of(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0, left = 0, right = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    dot += x * y, left += x * x, right += y * y;
  }
  return left > 0 && right > 0 ? dot / std::sqrt(left * right) : 0;
}

bool vectors_agree(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.empty() && b.empty()) return true;
  return a.size() == b.size() && cosine_of(a, b) >= static_cast<double>(kParaphraseVectorCosine);
}

// As the semantic cache tells it: an answer is a list, and two queries with one list have one answer.
std::vector<semantic::Beside> beside(const RetrievalCache::Near& one, const std::vector<RetrievalCache::Near>& near) {
  std::vector<semantic::Beside> out;
  for (const RetrievalCache::Near& other : near)
    if (&other != &one)
      out.push_back({.cosine = other.cosine, .same_answer = other.list->body.view() == one.list->body.view()});
  return out;
}

bool by_chance(double share) {
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_real_distribution<>(0, 1)(random) < share;
}

}  // namespace

std::string_view rule_name(Rule rule) {
  switch (rule) {
    case Rule::kNone: return "none";
    case Rule::kEqual: return "equal";
    case Rule::kParaphrase: return "paraphrase";
    case Rule::kSeeded: return "seeded";
  }
  return "none";
}

struct RetrievalStage::Counters {
  explicit Counters(base::Metrics& metrics)
      : equal_hits(metrics.counter("payonce_retrieval_hits_total", {{"rule", "equal"}})),
        paraphrase_hits(metrics.counter("payonce_retrieval_hits_total", {{"rule", "paraphrase"}})),
        seeded_hits(metrics.counter("payonce_retrieval_hits_total", {{"rule", "seeded"}})),
        write_count(metrics.counter("payonce_retrieval_writes_total")),
        mean(metrics.gauge("payonce_retrieval_recall", {{"value", "mean"}})),
        low(metrics.gauge("payonce_retrieval_recall", {{"value", "low"}})),
        fault_count(metrics.counter("payonce_layer_faults_total", {{"layer", "retrieval"}})) {}
  const base::Counter equal_hits, paraphrase_hits, seeded_hits, write_count;
  const base::Gauge mean, low;
  const base::Counter fault_count;
  std::atomic<uint64_t> equal{0}, paraphrase{0}, seeded{0}, cold{0}, expired{0}, epoch{0}, no_cache{0}, faults{0},
      writes{0};
};

RetrievalStage::RetrievalStage(Options options, embed::Embedder* embedder, const semantic::PairJudge* judge,
                               const base::Clock& clock, base::Metrics& metrics)
    : options_(options),
      embedder_(embedder),
      judge_(judge),
      clock_(clock),
      cache_(options.memory_bytes, metrics),
      counters_(std::make_unique<Counters>(metrics)) {}

RetrievalStage::~RetrievalStage() = default;

AskedPtr RetrievalStage::start(const StoreRules& rules, Caller caller, Classified classified) {
  auto asked = std::make_shared<Asked>();
  const Epochs::Now now =
      epochs_.now(rules.name, rules.one_epoch ? "" : classified.collection, clock_.monotonic_us());
  Query& query = classified.query;
  if (query.text.empty() && !query.form.empty()) query.text = caller.text;
  asked->rules = &rules;
  asked->group = {.id = hash_of({"retrieval:v1", caller.scope, rules.name, classified.collection, caller.method,
                                 caller.target, caller.fields, caller.versions, query.form}),
                  .scope = caller.scope,
                  .versions = caller.versions,
                  .epoch = now.epoch};
  asked->key = hash_of({query.asked});
  asked->store = caller.write && now.settled;
  asked->meter = hash_of({caller.scope, rules.name, classified.collection});
  asked->query = std::move(query);
  asked->caller = std::move(caller);
  return asked;
}

bool RetrievalStage::young_enough(const Asked& asked, const StoredList& list) const {
  return !asked.caller.max_age_s || clock_.unix_ms() - list.created_ms <= *asked.caller.max_age_s * 1000;
}

Outcome RetrievalStage::hit(Rule rule, const StoredList& list, float similarity) const {
  const int64_t now_ms = clock_.unix_ms();
  return {.rule = rule,
          .body = list.body,
          .content_type = list.content_type,
          .age_s = std::max<int64_t>(0, (now_ms - list.created_ms) / 1000),
          .ttl_s = (list.expires_ms - now_ms) / 1000,
          .similarity = similarity};
}

void RetrievalStage::finish(Outcome outcome, const std::function<void(Outcome)>& done) {
  Counters& c = *counters_;
  switch (outcome.rule) {
    case Rule::kEqual: ++c.equal, c.equal_hits.add(); break;
    case Rule::kParaphrase: ++c.paraphrase, c.paraphrase_hits.add(); break;
    case Rule::kSeeded: ++c.seeded, c.seeded_hits.add(); break;
    case Rule::kNone:
      ++(outcome.missed == "expired"    ? c.expired
         : outcome.missed == "epoch"    ? c.epoch
         : outcome.missed == "no_cache" ? c.no_cache
                                        : c.cold);
  }
  done(std::move(outcome));
}

void RetrievalStage::look_up(const AskedPtr& asked, std::function<void(Outcome)> done) {
  const bool has_text = !asked->query.text.empty() && embedder_ != nullptr && judge_ != nullptr &&
                        options_.paraphrase && asked->caller.paraphrase;
  std::string_view missed = "no_cache";
  if (asked->caller.read) {
    const RetrievalCache::Found found = cache_.find(asked->group, asked->key, clock_.unix_ms());
    if (found.list && young_enough(*asked, *found.list)) return finish(hit(Rule::kEqual, *found.list, 1), done);
    missed = found.list || found.why == Miss::kExpired ? "expired" : found.why == Miss::kEpoch ? "epoch" : "cold";
  }
  if (!has_text) return compare(asked, missed, done);
  const auto status =
      embedder_->embed(asked->query.text, [this, asked, missed, done](base::Result<embed::Embedding> made) {
        if (made) {
          asked->meaning = *std::move(made);
          asked->read = judge_->read(asked->query.text, asked->meaning);
        } else {
          count_fault();
        }
        compare(asked, missed, done);
      });
  if (status) return;
  count_fault();
  compare(asked, missed, done);
}

void RetrievalStage::compare(const AskedPtr& asked, std::string_view missed,
                             const std::function<void(Outcome)>& done) {
  if (asked->caller.read) {
    if (asked->read)
      if (auto found = paraphrase(*asked)) return finish(*std::move(found), done);
    if (auto found = seed(*asked)) return finish(*std::move(found), done);
  }
  finish({.missed = missed}, done);
}

std::optional<Outcome> RetrievalStage::paraphrase(const Asked& asked) const {
  std::optional<Outcome> best;
  double best_probability = kSureProbability;
  const auto near =
      cache_.near_in_meaning(asked.group, asked.meaning.vector, kParaphraseNeighbours, clock_.unix_ms());
  for (const RetrievalCache::Near& each : near) {
    if (!each.list->read || !young_enough(asked, *each.list)) continue;
    const semantic::Opinion opinion = judge_->compare(*each.list->read, *asked.read, each.cosine, beside(each, near));
    const double probability = base::logistic(static_cast<double>(opinion.logit));
    if (!opinion.conflict.empty() || probability < best_probability) continue;
    if (!vectors_agree(each.list->vector, asked.query.vector)) continue;
    best = hit(Rule::kParaphrase, *each.list, each.cosine);
    best_probability = probability;
  }
  return best;
}

// While the recall is not known to be good enough, the store answers, and the seeded search is compared with it.
std::optional<Outcome> RetrievalStage::seed(Asked& asked) {
  if (!options_.seed || asked.query.limit == 0 || asked.query.vector.empty() || !asked.caller.paraphrase)
    return std::nullopt;
  std::vector<Seed> seeds;
  std::vector<StoredListPtr> kept;
  float nearest = 0;
  int64_t oldest_ms = clock_.unix_ms(), soonest_ms = INT64_MAX;
  for (const auto& near : cache_.near(asked.group, asked.query.vector, kSeeds, clock_.unix_ms())) {
    if (near.cosine < kSeedCosine || !young_enough(asked, *near.list)) continue;
    nearest = std::max(nearest, near.cosine);
    oldest_ms = std::min(oldest_ms, near.list->created_ms);
    soonest_ms = std::min(soonest_ms, near.list->expires_ms);
    seeds.push_back({.query = near.list->vector, .body = near.list->body.view()});
    kept.push_back(near.list);
  }
  if (seeds.empty()) return std::nullopt;
  auto found = search_seeds(asked.rules->kind, seeds, asked.query.vector, asked.query.limit);
  if (!found) return std::nullopt;
  if (recall_.read(asked.meter).low < options_.recall_bound || by_chance(options_.shadow)) {
    asked.seeded = std::move(found->ids);
    return std::nullopt;
  }
  const int64_t now_ms = clock_.unix_ms();
  return Outcome{.rule = Rule::kSeeded,
                 .body = base::Bytes(std::move(found->body)),
                 .content_type = kept.front()->content_type,
                 .age_s = (now_ms - oldest_ms) / 1000,
                 .ttl_s = (soonest_ms - now_ms) / 1000,
                 .similarity = nearest};
}

void RetrievalStage::settle(const AskedPtr& asked, std::string body, std::string content_type) {
  if (!is_good_list(body)) return;
  if (!asked->seeded.empty()) {
    recall_.add(asked->meter, recall_of(asked->seeded, ids_of(asked->rules->kind, body)));
    const RecallMeter::Reading all = recall_.all();
    counters_->mean.set(all.mean);
    counters_->low.set(all.low);
  }
  if (!asked->store) return;
  const int64_t now_ms = clock_.unix_ms();
  auto list = std::make_shared<StoredList>();
  list->key = asked->key;
  list->body = base::Bytes(std::move(body));
  list->content_type = std::move(content_type);
  list->created_ms = now_ms;
  list->expires_ms = now_ms + 1000 * asked->caller.ttl_s.value_or(asked->rules->ttl_s);
  list->vector = asked->query.vector;
  if (asked->read) {
    list->meaning.vector = asked->meaning.vector;
    list->read = asked->read;
  }
  cache_.insert(asked->group, std::move(list));
}

void RetrievalStage::written(const StoreRules& rules, std::string_view collection, Write what) {
  const int64_t settle_ms = what == Write::kAnswered  ? rules.settle_ms
                            : what == Write::kUnknown ? std::max(rules.settle_ms, kLateWrite_ms)
                                                      : 0;
  epochs_.write(rules.name, rules.one_epoch ? "" : collection, clock_.monotonic_us() + 1000 * settle_ms);
  if (what != Write::kSent) return;
  ++counters_->writes;
  counters_->write_count.add();
}

void RetrievalStage::forget(const StoreRules& rules, std::string_view collection) {
  epochs_.write(rules.name, rules.one_epoch ? "" : collection, 0);
}

uint64_t RetrievalStage::purge(const std::function<bool(std::string_view, std::string_view, int64_t)>& is) {
  return cache_.purge(is);
}

void RetrievalStage::count_fault() {
  ++counters_->faults;
  counters_->fault_count.add();
}

RetrievalStage::Stats RetrievalStage::stats() const {
  const Counters& c = *counters_;
  return {.cache = cache_.stats(),
          .equal = c.equal,
          .paraphrase = c.paraphrase,
          .seeded = c.seeded,
          .cold = c.cold,
          .expired = c.expired,
          .epoch = c.epoch,
          .no_cache = c.no_cache,
          .faults = c.faults,
          .writes = c.writes,
          .recall = recall_.all()};
}

}  // namespace payonce::retrieval
