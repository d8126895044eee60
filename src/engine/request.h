// What is asked of the engine, and what comes back. Values, but for the sink.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "engine/model/grammar.h"

namespace payonce::engine {

struct Sampling {
  double temperature = 1;  // 0: greedy
  double top_p = 1, min_p = 0;
  int32_t top_k = 0;                                   // 0: all
  double presence_penalty = 0, frequency_penalty = 0;  // of generated tokens, as OpenAI defines them
  double repetition_penalty = 1;                       // of prompt and generated tokens, as in vLLM and transformers
  std::map<int32_t, double> logit_bias;                // by token
  std::optional<uint64_t> seed;                        // none: from the kernel
};

struct Stopping {
  int32_t max_tokens = 0;            // 0: until the context is full
  int32_t min_tokens = 0;            // end tokens and stop strings do not count before
  std::vector<std::string> strings;  // text ends before the first of them
  std::vector<int32_t> tokens;
  bool ignore_eos = false;
};

// The prompt up to `tokens` is worth keeping: for `ttl_s` its blocks are evicted last (cache_control).
struct CacheMark {
  int32_t tokens = 0;
  int64_t ttl_s = 300;
};

struct Generate {
  std::vector<int32_t> prompt;  // at least one token
  std::string tenant;           // whose blocks these are; equal tenants share
  std::vector<CacheMark> marks;
  Sampling sampling;
  Stopping stopping;
  Grammar::Source grammar;            // gbnf empty: free text
  std::vector<int32_t> shown_tokens;  // control tokens whose text is given out (marks of tool calls)
  int32_t n = 1;                      // choices returned
  int32_t best_of = 0;                // sequences sampled, the n likeliest are returned (then nothing streams); 0: n
  bool beam_search = false;           // n of `beams` beams are returned, best first; deterministic; nothing streams
  int32_t beams = 0;
  double length_penalty = 1;  // a beam's score: sum of logprobs / length ^ length_penalty
  bool early_stopping = false;
  int32_t logprobs = -1;         // for each token its logprob and so many likeliest; -1: none
  int32_t prompt_logprobs = -1;  // the same of prompt tokens; recomputes the prompt
  int64_t deadline_ms = 0;       // monotonic, Clock::monotonic_us() / 1000; 0: none
};

struct TokenLogprob {
  int32_t token = 0;
  float logprob = 0;
};

// Some text of a choice. Whole UTF-8 characters only; held back while it could be the start of a stop string.
struct Piece {
  int32_t choice = 0;
  std::string text;
  std::vector<int32_t> tokens;                       // whose text this is
  std::vector<TokenLogprob> logprobs;                // one a token, when asked for
  std::vector<std::vector<TokenLogprob>> likeliest;  // one list a token
};

enum class Finish : uint8_t { kStop, kLength, kCancelled };
struct Finished {
  int32_t choice = 0;
  Finish why = Finish::kStop;
  std::string stop_string;  // which one ended it; empty: an end token
  double logprob_sum = 0;
};

struct EngineUsage {
  int32_t prompt_tokens = 0;
  int32_t cached_tokens = 0;      // of the prompt: state that was there and was not computed for this request
  int32_t written_tokens = 0;     // of the prompt: newly computed up to the last CacheMark
  int32_t completion_tokens = 0;  // of all sequences
};

// Called on the engine's thread: must be quick and never block. After done() or failed(), nothing more comes.
class Sink {
 public:
  virtual ~Sink() = default;
  virtual void prompt_logprobs(std::vector<TokenLogprob> of_tokens,
                               std::vector<std::vector<TokenLogprob>> likeliest) {
    (void)of_tokens, (void)likeliest;
  }
  // The prompt is computed, and the first token comes; completion_tokens is 0.
  virtual void started(EngineUsage usage) { (void)usage; }
  virtual void piece(Piece piece) = 0;
  virtual void finished(Finished finished) = 0;  // one choice
  virtual void done(EngineUsage usage) = 0;      // all of them
  // kInvalid (prompt beyond the context, token out of range, bad grammar), kExhausted (no memory for it even alone,
  // or the queue is full), kTimeout (deadline), kInternal.
  virtual void failed(base::Error error) = 0;
};

}  // namespace payonce::engine
