// The semantic cache: which stored answer may be given to a question that means the same as another.
//
// Questions lie in groups. A group is everything but the question's text (scope, model, sampling, system prompt,
// tools, version tags, all earlier turns: identity::context_key); questions of two groups never meet. A question's
// nearest neighbours in its group are judged as pairs, the scope's calibrator turns the judgement into a probability,
// and the surest neighbour is served when its probability reaches the scope's threshold and nothing speaks against
// it. The answers themselves lie in the response store, under the neighbour's key.
//
//   look_up() ─▶ Lookup: a candidate to serve, or none and why
//   insert()  ─▶ a fresh answer came and was stored: the question joins its group
//   label()   ─▶ and is that answer the candidate's? Then the two questions are aliases
//
// Everything is in memory and bounded; the question log keeps it over a restart.
// Threads: all any.  Owner: the instance.  Errors: none; what cannot be done is a miss with a reason.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "embed/embedder.h"
#include "semantic/pair_judge.h"
#include "semantic/policy/calibrator.h"
#include "semantic/question_log.h"

namespace payonce::semantic {

enum class Policy : uint8_t {
  kBound,      // the error bound decides
  kThreshold,  // a fixed cosine does, and nothing else
};

enum class Outcome : uint8_t {
  kServe,
  kEmpty,      // the group has no question yet
  kFar,        // none is near
  kConflict,   // the nearest differs in a number, a name, a negation, …
  kUncertain,  // none is sure enough
};
std::string_view outcome_name(Outcome outcome);

struct Candidate {
  uint64_t row = 0;  // of the question that it answers
  std::string key;   // of the answer in the response store
  base::Hash128 answer{};
  float similarity = 0;
  std::string_view conflict{};
  Signals signals;
  double probability = 0;
};

// One question on its way. Written by look_up(), read by settle().
struct Lookup {
  std::string group, scope, question;
  embed::Embedding embedding;
  ReadQuestionPtr read;
  Outcome outcome = Outcome::kEmpty;
  std::vector<Candidate> candidates;  // the surest first
  bool ask_again = false;             // served, but to be asked afresh as well: a label
};

// A stored answer, as the semantic layer needs it.
struct StoredAnswer {
  std::string key;         // in the response store
  base::Hash128 digest{};  // of what it says: answers of one digest are the same
  int64_t expires_ms = 0;  // unix
};

class SemanticCache {
 public:
  struct Options {
    Policy policy = Policy::kBound;
    double error_bound = 0.01;  // wrong answers, as a share of the requests that the layer looks at
    double threshold = 0.92;    // cosine, for Policy::kThreshold
    double ask_again = 0.05;    // share of what is served that is asked afresh
    uint64_t memory_bytes = 256u << 20;
    int32_t dimensions = 384;
    std::optional<uint64_t> seed{};  // of its draws, for replays; none: from the system
  };
  // `log`: keeps the questions over a restart, read here; null: nothing does.
  SemanticCache(Options options, const PairJudge& judge, const base::Clock& clock, QuestionLog* log = nullptr);
  ~SemanticCache();

  // Fills outcome and candidates. `group` and `scope` say where; `embedding` and `question` what.
  void look_up(Lookup& lookup);
  // Counted as one of the scope's questions. `served`: the answer of candidates.front() went out; the result is the
  // hit's id, for feedback.
  std::string decided(const Lookup& lookup, bool served);
  // The question's own answer, in place of an older one under the same key.
  void insert(const Lookup& lookup, const StoredAnswer& answer);
  // A fresh answer to the question is, or is not, what candidates.front() would have given or, if `served`, has
  // given. `key`: of the fresh answer, if it was inserted; when equal it counts as the candidate's from now on.
  void label(const Lookup& lookup, const std::string& key, bool equal, bool served);
  // A user says that a hit was wrong: the question that was answered by meaning answers nobody else from now on, and
  // the scope's threshold learns. `scope`: whose hit it must be; empty: anyone's. False: no such hit, or too long
  // ago.
  bool feedback_wrong(const std::string& hit, std::string_view scope);
  void forget(uint64_t row);                                                // its answer is gone from the store
  uint64_t forget_if(const std::function<bool(std::string_view key)>& is);  // of answers that were purged

  double error_bound() const;
  struct Stats {
    uint64_t entries = 0, groups = 0, bytes = 0, evictions = 0;
    uint64_t labels = 0, scopes = 0;
    Tally tally;           // over all scopes
    double threshold = 0;  // of the scope with most questions
  };
  Stats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace payonce::semantic
