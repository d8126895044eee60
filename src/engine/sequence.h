// One request (Group) and its sequences, as the scheduler keeps them.  Threads: one (the engine's).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/block_table.h"
#include "engine/request.h"
#include "engine/sampler.h"
#include "engine/text_stream.h"

namespace payonce::engine {

struct Group;

// A sequence *runs* while it has a place in the batch; it is in prefill while more than one of its tokens lacks its
// state, else it decodes: one row a step.
struct Sequence {
  uint64_t id = 0;
  Group* group = nullptr;
  int32_t choice = 0;
  std::vector<int32_t> tokens;  // prompt and what was generated
  BlockTable table;
  bool running = false;
  bool finished = false;
  bool loading = false;     // blocks are on their way from the tier
  bool asked_tier = false;  // for the blocks after the pool's
  int32_t seen_tokens = 0;  // the most that `table` ever held: what comes back after a preemption is no hit
  // Blocks [withdrawn_end, announced_end) are announced as ours to compute (see Scheduler).
  int32_t announced_end = 0, withdrawn_end = 0;
  bool waits_for_announced = false;  // another computes the next block
  int32_t max_tokens = 0;            // of tokens.size()
  std::unique_ptr<Sampler> sampler;
  std::unique_ptr<TextStream> text;
  double logprob_sum = 0;
  std::vector<Piece> held;  // what goes out at the end (best_of)
  Finished how;
  std::vector<TokenLogprob> continuations;  // beam search: of this step

  int32_t missing() const { return static_cast<int32_t>(tokens.size()) - table.computed; }
};

// A finished hypothesis of a beam search.
struct Hypothesis {
  std::vector<int32_t> tokens;  // generated
  double logprob_sum = 0, score = 0;
  Finish why = Finish::kStop;
};

struct Group {
  uint64_t id = 0;
  Generate request;
  std::shared_ptr<Sink> sink;
  uint64_t seed = 0;
  int64_t deadline_ms = 0;
  std::vector<std::unique_ptr<Sequence>> sequences;
  bool admitted = false;
  bool prompt_done = false;
  bool over = false;  // answered; waits to be dropped
  int32_t unfinished = 0;
  int32_t cached_tokens = 0, completion_tokens = 0;
  std::vector<TokenLogprob> prompt_logprobs;
  std::vector<std::vector<TokenLogprob>> prompt_likeliest;
  std::vector<Hypothesis> hypotheses;  // beam search, best first

  // Sequences that it runs once its prompt is computed.
  int32_t width() const {
    if (request.beam_search) return request.beams;
    return request.best_of > request.n ? request.best_of : request.n;
  }
  // Places that it takes of the batch.
  int32_t places() const { return !admitted ? 0 : prompt_done ? unfinished : width(); }
  bool streams() const { return !request.beam_search && request.best_of <= request.n; }
};

}  // namespace payonce::engine
