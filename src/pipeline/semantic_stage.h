// The semantic layer's stage: between a miss of the exact cache and the upstream. It joins the embedder, which turns
// a question into a vector on a thread of its own, with the semantic cache, which decides, and says nothing of
// sockets.
//
// A fault (no model file, full queue, …) is a miss with a reason, never an error. On a route where the layer does not
// pay for itself only a sample of the requests waits for it (break_even.h).
// Threads: all any. `done` of begin() may come on the embedder's thread, or before begin() returns.
// Owner: the instance; outlives the pipeline's requests.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/metrics.h"
#include "cache/response_store.h"
#include "embed/embedder.h"
#include "pipeline/break_even.h"
#include "pipeline/decision.h"
#include "semantic/answer_judge/answer_judge.h"
#include "semantic/semantic_cache.h"

namespace payonce::pipeline {

// How a fresh answer is compared with the one that would have been, or has been, served: the source of all labels.
enum class Compare : uint8_t {
  kExact,       // the texts, byte for byte
  kNormalised,  // case, white space and punctuation apart
  kEmbedding,   // else, when both are prose with the same numbers, by the cosine of their embeddings
  kJudge,       // else, by asking a model
};

class SemanticStage {
 public:
  struct Options {
    Compare compare = Compare::kEmbedding;
    double equal_cosine = 0.92;  // for kEmbedding
  };
  SemanticStage(Options options, embed::Embedder& embedder, semantic::SemanticCache& cache,
                cache::ResponseStore& store, const base::Clock& clock, base::Metrics& metrics,
                std::unique_ptr<semantic::AnswerJudge> judge = nullptr);  // for kJudge
  ~SemanticStage();

  // A lookup to be made before the upstream is called or, where the layer does not pay (waited_for is false), beside
  // it.
  AskedQuestionPtr start(const Prepared& prepared, std::string context, std::string question);
  // Embeds and looks up; `done` gets the lookup with its outcome filled in, or a reason (static text) why not.
  void look_up(AskedQuestionPtr lookup, std::function<void(std::string_view fault)> done);

  // The request goes on: with the candidate's answer, whose hit id is returned, or to an upstream.
  std::string served(const Prepared& prepared, const AskedQuestion& lookup);
  void forwarded(const Prepared& prepared, const AskedQuestion& lookup);
  // A whole answer came. `stored`: under prepared.key.
  struct Fresh {
    const Prepared& prepared;
    AskedQuestionPtr lookup;
    llm::Form form;
    std::string_view body;
    bool stored = false;
    int64_t expires_ms = 0;
    bool was_served = false;  // asked again: the candidate had been served
    int64_t upstream_us = -1;
  };
  void settle(const Fresh& fresh);
  // What is left of a fresh answer. `key`: it was stored there, and may be given to other questions; or empty.
  struct Answered {
    AskedQuestionPtr lookup;
    std::string text, key;
    int64_t expires_ms = 0;
    bool was_served = false;
    // What a stored entry says, where it is no answer of a dialect.
    std::function<std::optional<std::string>(const cache::Entry&)> text_of{};
  };
  void learn(Answered answered);

  semantic::SemanticCache& cache() { return cache_; }
  struct Stats {
    uint64_t hits = 0, misses = 0;
    uint64_t empty = 0, far = 0, conflict = 0, uncertain = 0, gone = 0, fault = 0, sampled = 0;  // of the misses
    uint64_t asked_again = 0, wrong_by_feedback = 0;
    uint64_t saved_input_tokens = 0, saved_output_tokens = 0;
    double saved_usd = 0;
    bool sampling = false;  // on some route
  };
  Stats stats() const;
  void show() const;  // the gauges, before they are read
  bool feedback_wrong(const std::string& hit, std::string_view scope);
  void count_saved(const llm::Usage& usage, double cost_usd);

 private:
  struct Counters;
  void take_in(const Fresh& fresh);
  void add(const Answered& settled);
  void label(const Answered& settled, bool equal);
  void compare(const Answered& settled, std::string other);
  void ask_judge(const Answered& settled, const std::string& other);

  const Options options_;
  cache::ResponseStore& store_;
  embed::Embedder& embedder_;
  semantic::SemanticCache& cache_;
  const base::Clock& clock_;
  BreakEven break_even_;
  std::unique_ptr<Counters> counters_;
  std::unique_ptr<semantic::AnswerJudge> judge_;  // destroyed first: its answers come here
};

}  // namespace payonce::pipeline
