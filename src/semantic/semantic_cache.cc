#include "semantic/semantic_cache.h"

#include <algorithm>
#include <array>
#include <deque>
#include <list>
#include <mutex>
#include <random>
#include <unordered_map>
#include <utility>

#include "base/assert.h"
#include "base/logistic.h"
#include "semantic/index/vector_index.h"

namespace payonce::semantic {
namespace {

constexpr size_t kNeighbours = 5;
constexpr float kFarCosine = 0.5F;  // further away, nothing is judged
constexpr size_t kMaxScopes = 4096;
constexpr size_t kHitsKept = 10'000;  // for feedback
constexpr std::array<std::string_view, 5> kOutcomeNames = {"serve", "empty", "far", "conflict", "uncertain"};

}  // namespace

std::string_view outcome_name(Outcome outcome) { return kOutcomeNames[static_cast<size_t>(outcome)]; }

struct SemanticCache::State {
  struct Row {
    std::string group, key;
    base::Hash128 answer{};
    int64_t expires_ms = 0;
    ReadQuestionPtr read;
    Evidence evidence;
    std::list<uint64_t>::iterator use;
    uint64_t bytes = 0;
  };
  struct Group {
    explicit Group(size_t dimensions) : index(dimensions) {}
    VectorIndex index;
  };
  struct Scope {
    explicit Scope(double error_bound) : calibrator(error_bound) {}
    Calibrator calibrator;
    uint64_t last_use = 0;
  };
  struct Hit {  // that a user may speak of
    std::string scope;
    uint64_t row;
    Signals signals;
  };
  struct Near {  // a neighbour, copied out of the lock
    uint64_t id;
    float similarity;
    std::string key;
    base::Hash128 answer;
    ReadQuestionPtr read;
    float evidence;
  };

  State(Options o, const PairJudge& j, const base::Clock& c, QuestionLog* l)
      : options(std::move(o)), judge(j), clock(c), log(l) {}

  std::vector<Near> neighbours(const Lookup& lookup);
  std::vector<Candidate> judged(const Lookup& lookup, const std::vector<Near>& near) const;
  void decide(Lookup& lookup);
  Scope& scope_of(const std::string& name);
  void insert(const Lookup& lookup, const StoredAnswer& answer);
  void erase(uint64_t id);
  void rewrite_log();
  bool draw(double share) { return std::uniform_real_distribution<>()(random) < share; }

  const Options options;
  const PairJudge& judge;
  const base::Clock& clock;
  QuestionLog* const log;
  mutable std::mutex mutex;  // guards all below
  std::unordered_map<std::string, Group> groups;
  std::unordered_map<uint64_t, Row> rows;
  std::unordered_map<std::string, uint64_t> row_of_key;
  std::unordered_map<std::string, Scope> scopes;
  std::unordered_map<std::string, Hit> hits;
  std::deque<std::string> hit_order;  // of `hits`, the oldest first
  std::list<uint64_t> uses;           // the least recently used row first
  uint64_t next_row = 1, bytes = 0, evictions = 0, uses_of_scopes = 0;
  std::mt19937_64 random{options.seed ? *options.seed : std::random_device{}()};
};

SemanticCache::SemanticCache(Options options, const PairJudge& judge, const base::Clock& clock, QuestionLog* log)
    : state_(std::make_unique<State>(std::move(options), judge, clock, log)) {
  if (log == nullptr) return;
  uint64_t read = 0;
  log->read([&](StoredQuestion question) {
    ++read;
    if (question.expires_ms <= clock.unix_ms()) return;
    Lookup lookup;
    lookup.group = std::move(question.group);
    lookup.read = judge.read(question.question, question.embedding);
    lookup.embedding.vector = std::move(question.embedding.vector);
    state_->insert(lookup, {.key = question.key, .digest = question.answer, .expires_ms = question.expires_ms});
  });
  if (read > 2 * state_->rows.size()) state_->rewrite_log();
}
SemanticCache::~SemanticCache() = default;

void SemanticCache::look_up(Lookup& lookup) {
  State& state = *state_;
  lookup.read = state.judge.read(lookup.question, lookup.embedding);
  const std::vector<State::Near> near = state.neighbours(lookup);
  if (near.empty()) return;
  lookup.candidates = state.judged(lookup, near);
  const std::lock_guard lock(state.mutex);
  state.decide(lookup);
}

std::vector<SemanticCache::State::Near> SemanticCache::State::neighbours(const Lookup& lookup) {
  const std::lock_guard lock(mutex);
  const auto group = groups.find(lookup.group);
  if (group == groups.end()) return {};
  const int64_t now_ms = clock.unix_ms();
  std::vector<Near> out;
  for (const Neighbour& each : group->second.index.nearest(lookup.embedding.vector, kNeighbours)) {
    const Row& row = rows.at(each.id);
    if (row.expires_ms > now_ms)
      out.push_back({each.id, each.similarity, row.key, row.answer, row.read, row.evidence.value()});
    else
      erase(each.id);
  }
  return out;
}

std::vector<Candidate> SemanticCache::State::judged(const Lookup& lookup, const std::vector<Near>& near) const {
  std::vector<Candidate> out;
  for (const Near& each : near) {
    if (each.similarity < kFarCosine) break;  // they come nearest first
    std::vector<Beside> beside;
    for (const Near& other : near)
      if (&other != &each) beside.push_back({.cosine = other.similarity, .same_answer = other.answer == each.answer});
    const Opinion opinion = judge.compare(*each.read, *lookup.read, each.similarity, beside);
    out.push_back({.row = each.id,
                   .key = each.key,
                   .answer = each.answer,
                   .similarity = each.similarity,
                   .conflict = opinion.conflict,
                   .signals = {.logit = opinion.logit, .cosine = each.similarity, .entry = each.evidence}});
  }
  for (Candidate& one : out) {
    float rival = -kMaxMargin + one.signals.logit;
    for (const Candidate& other : out) {
      if (&other == &one) continue;
      if (other.answer == one.answer)
        one.signals.support += static_cast<float>(base::logistic(static_cast<double>(other.signals.logit)));
      else
        rival = std::max(rival, other.signals.logit);
    }
    one.signals.margin = std::clamp(one.signals.logit - rival, 0.0F, kMaxMargin);
  }
  return out;
}

void SemanticCache::State::decide(Lookup& lookup) {
  if (lookup.candidates.empty()) {
    lookup.outcome = Outcome::kFar;
    return;
  }
  const Calibrator& calibrator = scope_of(lookup.scope).calibrator;
  for (Candidate& each : lookup.candidates) each.probability = calibrator.probability(each.signals);
  const bool by_cosine = options.policy == Policy::kThreshold;
  std::stable_sort(lookup.candidates.begin(), lookup.candidates.end(), [&](const Candidate& a, const Candidate& b) {
    if (by_cosine) return a.similarity > b.similarity;
    if (a.conflict.empty() != b.conflict.empty()) return a.conflict.empty();
    return a.probability > b.probability;
  });
  const Candidate& best = lookup.candidates.front();
  const bool sure = by_cosine ? static_cast<double>(best.similarity) >= options.threshold
                              : best.conflict.empty() && calibrator.serves(best.probability);
  lookup.outcome = sure                                   ? Outcome::kServe
                   : !by_cosine && !best.conflict.empty() ? Outcome::kConflict
                                                          : Outcome::kUncertain;
  if (!sure) return;
  lookup.ask_again = draw(options.ask_again);
  if (const auto row = rows.find(best.row); row != rows.end()) uses.splice(uses.end(), uses, row->second.use);
}

SemanticCache::State::Scope& SemanticCache::State::scope_of(const std::string& name) {
  const auto found = scopes.find(name);
  if (found == scopes.end() && scopes.size() >= kMaxScopes)
    scopes.erase(std::min_element(scopes.begin(), scopes.end(), [](const auto& a, const auto& b) {
      return a.second.last_use < b.second.last_use;
    }));
  Scope& scope = scopes.try_emplace(name, options.error_bound).first->second;
  scope.last_use = ++uses_of_scopes;
  return scope;
}

std::string SemanticCache::decided(const Lookup& lookup, bool served) {
  State& state = *state_;
  std::optional<Signals> best;
  if (!lookup.candidates.empty() && lookup.candidates.front().conflict.empty())
    best = lookup.candidates.front().signals;
  const std::lock_guard lock(state.mutex);
  state.scope_of(lookup.scope)
      .calibrator.saw(best, served ? std::optional<double>(lookup.candidates.front().probability) : std::nullopt);
  if (!served) return {};
  std::string id = base::random_hex(8);
  const Candidate& candidate = lookup.candidates.front();
  state.hits[id] = {.scope = lookup.scope, .row = candidate.row, .signals = candidate.signals};
  state.hit_order.push_back(id);
  if (state.hit_order.size() > kHitsKept) {
    state.hits.erase(state.hit_order.front());
    state.hit_order.pop_front();
  }
  return id;
}

void SemanticCache::label(const Lookup& lookup, const std::string& key, bool equal, bool served) {
  if (lookup.candidates.empty()) return;
  State& state = *state_;
  const Candidate& best = lookup.candidates.front();
  const std::lock_guard lock(state.mutex);
  if (best.conflict.empty()) state.scope_of(lookup.scope).calibrator.observe(best.signals, equal, served);
  if (const auto row = state.rows.find(best.row); row != state.rows.end())
    row->second.evidence.observe(best.probability, equal);
  if (!equal) return;
  if (const auto own = state.row_of_key.find(key); own != state.row_of_key.end())
    state.rows.at(own->second).answer = best.answer;
}

void SemanticCache::insert(const Lookup& lookup, const StoredAnswer& answer) {
  {
    const std::lock_guard lock(state_->mutex);
    state_->insert(lookup, answer);
  }
  if (state_->log != nullptr && lookup.read)
    state_->log->append({.group = lookup.group,
                         .key = answer.key,
                         .question = lookup.question,
                         .answer = answer.digest,
                         .expires_ms = answer.expires_ms,
                         .embedding = lookup.embedding});
}

void SemanticCache::State::rewrite_log() {
  if (log != nullptr)
    log->keep_only([this](const std::string& key) {
      const std::lock_guard lock(mutex);
      return row_of_key.contains(key);
    });
}

void SemanticCache::State::insert(const Lookup& lookup, const StoredAnswer& answer) {
  if (const auto known = row_of_key.find(answer.key); known != row_of_key.end()) erase(known->second);
  const auto dimensions = static_cast<size_t>(options.dimensions);
  if (!lookup.read || lookup.embedding.vector.size() != dimensions) return;
  Group& group = groups.try_emplace(lookup.group, dimensions).first->second;
  const uint64_t id = next_row++;
  Row row{.group = lookup.group,
          .key = answer.key,
          .answer = answer.digest,
          .expires_ms = answer.expires_ms,
          .read = lookup.read,
          .evidence = {},
          .use = uses.insert(uses.end(), id),
          .bytes = 0};
  row.bytes = sizeof(Row) + 256 + 2 * (row.group.size() + row.key.size()) + row.read->bytes() + dimensions + 64;
  bytes += row.bytes;
  row_of_key[row.key] = id;
  rows.emplace(id, std::move(row));
  group.index.add(id, lookup.embedding.vector);
  while (bytes > options.memory_bytes && uses.size() > 1) {
    erase(uses.front());
    ++evictions;
  }
}

void SemanticCache::State::erase(uint64_t id) {
  const auto row = rows.find(id);
  if (row == rows.end()) return;
  const auto group = groups.find(row->second.group);
  PAYONCE_ASSERT(group != groups.end());
  group->second.index.remove(id);
  if (group->second.index.size() == 0) groups.erase(group);
  bytes -= row->second.bytes;
  uses.erase(row->second.use);
  if (const auto key = row_of_key.find(row->second.key); key != row_of_key.end() && key->second == id)
    row_of_key.erase(key);
  rows.erase(row);
}

bool SemanticCache::feedback_wrong(const std::string& hit, std::string_view scope) {
  State& state = *state_;
  const std::lock_guard lock(state.mutex);
  const auto found = state.hits.find(hit);
  if (found == state.hits.end() || (!scope.empty() && found->second.scope != scope)) return false;
  state.erase(found->second.row);
  state.scope_of(found->second.scope).calibrator.served_wrong(found->second.signals);
  state.hits.erase(found);
  return true;
}

void SemanticCache::forget(uint64_t row) {
  const std::lock_guard lock(state_->mutex);
  state_->erase(row);
}

uint64_t SemanticCache::forget_if(const std::function<bool(std::string_view key)>& is) {
  std::vector<uint64_t> gone;
  {
    const std::lock_guard lock(state_->mutex);
    for (const auto& [id, row] : state_->rows)
      if (is(row.key)) gone.push_back(id);
    for (const uint64_t id : gone) state_->erase(id);
  }
  if (!gone.empty()) state_->rewrite_log();
  return gone.size();
}

double SemanticCache::error_bound() const { return state_->options.error_bound; }

SemanticCache::Stats SemanticCache::stats() const {
  const State& state = *state_;
  const std::lock_guard lock(state.mutex);
  Stats out{.entries = state.rows.size(),
            .groups = state.groups.size(),
            .bytes = state.bytes,
            .evictions = state.evictions};
  out.scopes = state.scopes.size();
  uint64_t most = 0;
  for (const auto& [name, scope] : state.scopes) {
    const Tally& tally = scope.calibrator.tally();
    out.labels += scope.calibrator.labels();
    out.tally += tally;
    if (tally.questions < most) continue;
    most = tally.questions;
    out.threshold = scope.calibrator.threshold();
  }
  return out;
}

}  // namespace payonce::semantic
