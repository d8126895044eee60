// The rules of the retrieval cache in their order: an equal query, a verified paraphrase, a search seeded by near
// queries; else the store is asked, and its list is kept. No sockets here: src/gateway/retrieval_proxy.h has them.
//
//   start() ─▶ AskedPtr          who asks what, in which epoch
//   look_up(asked, done)         done(Outcome): a body to answer with, or a miss and why
//   settle(asked, body)          the store's own list came: kept, and the seeded one compared with it
//   written(store, …)            a write was sent, or answered
//
// A fault (no embedder, full queue) is a miss. Threads: all any; `done` comes on this thread or on the embedder's.
// Owner: the instance; outlives every request, and is destroyed after the embedder.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/metrics.h"
#include "embed/embedder.h"
#include "retrieval/classify.h"
#include "retrieval/epochs.h"
#include "retrieval/recall_meter.h"
#include "retrieval/retrieval_cache.h"
#include "retrieval/store.h"
#include "semantic/pair_judge.h"

namespace payonce::retrieval {

enum class Rule : uint8_t { kNone, kEqual, kParaphrase, kSeeded };
std::string_view rule_name(Rule rule);  // "equal"

// Who asks, and what of the request counts beside the body.
struct Caller {
  std::string scope;
  std::string versions;  // canonical tags
  std::string method, target;
  std::string fields;                                 // header fields that may change the list
  std::string text;                                   // X-Payonce-Query: what a query by vector says; empty: not told
  bool read = true, paraphrase = true, write = true;  // what the caller lets us do
  std::optional<int64_t> ttl_s, max_age_s;
};

// A query on its way. Written by start() and look_up() alone.
struct Asked {
  const StoreRules* rules = nullptr;
  GroupKey group;
  std::string key;
  Query query;
  Caller caller;
  bool store = false;  // a good list is to be kept
  embed::Embedding meaning;
  semantic::ReadQuestionPtr read;
  std::string meter;                // where its recall counts
  std::vector<std::string> seeded;  // what the seeded search found; empty: there was none
};
using AskedPtr = std::shared_ptr<Asked>;

struct Outcome {
  Rule rule = Rule::kNone;
  base::Bytes body;
  std::string content_type;
  int64_t age_s = 0, ttl_s = 0;
  float similarity = 1;       // cosine to the query whose list it is
  std::string_view missed{};  // why, static text: cold, expired, epoch, no_cache
};

class RetrievalStage {
 public:
  struct Options {
    uint64_t memory_bytes = 64u << 20;
    bool paraphrase = true;
    bool seed = false;
    double recall_bound = 0.95;
    double shadow = 0.1;  // share of the seeded searches that are made in full as well
  };
  // `embedder` and `judge` null: no paraphrases.
  RetrievalStage(Options options, embed::Embedder* embedder, const semantic::PairJudge* judge,
                 const base::Clock& clock, base::Metrics& metrics);
  ~RetrievalStage();

  AskedPtr start(const StoreRules& rules, Caller caller, Classified classified);
  void look_up(const AskedPtr& asked, std::function<void(Outcome)> done);
  // A 200 came whole. `content_type` as the store gave it.
  void settle(const AskedPtr& asked, std::string body, std::string content_type);
  // How a write to `collection` (empty: all) goes on. REQUIRES: kSent is told before it goes out, one of the others
  // before its client has the answer.
  enum class Write : uint8_t {
    kSent,
    kApplied,   // answered, and every query sees it
    kAnswered,  // answered, applied later: within the store's settle_ms
    kUnknown,   // it failed, or its client left: it may be applied, or not
  };
  void written(const StoreRules& rules, std::string_view collection, Write what);
  void forget(const StoreRules& rules, std::string_view collection);  // a write that went another way
  uint64_t purge(
      const std::function<bool(std::string_view scope, std::string_view versions, int64_t created_ms)>& is);
  void count_fault();

  struct Stats {
    RetrievalCache::Stats cache;
    uint64_t equal = 0, paraphrase = 0, seeded = 0;                       // hits by rule
    uint64_t cold = 0, expired = 0, epoch = 0, no_cache = 0, faults = 0;  // of the misses
    uint64_t writes = 0;
    RecallMeter::Reading recall;
    uint64_t misses() const { return cold + expired + epoch + no_cache; }
    uint64_t hits() const { return equal + paraphrase + seeded; }
  };
  Stats stats() const;
  const Options& options() const { return options_; }

 private:
  struct Counters;
  void compare(const AskedPtr& asked, std::string_view missed, const std::function<void(Outcome)>& done);
  std::optional<Outcome> paraphrase(const Asked& asked) const;
  std::optional<Outcome> seed(Asked& asked);
  Outcome hit(Rule rule, const StoredList& list, float similarity) const;
  void finish(Outcome outcome, const std::function<void(Outcome)>& done);
  bool young_enough(const Asked& asked, const StoredList& list) const;

  const Options options_;
  embed::Embedder* const embedder_;
  const semantic::PairJudge* const judge_;
  const base::Clock& clock_;
  Epochs epochs_;
  RetrievalCache cache_;
  RecallMeter recall_;
  std::unique_ptr<Counters> counters_;
};

}  // namespace payonce::retrieval
