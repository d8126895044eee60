// Chooses the next token out of a row of logits. The random number of a choice depends on seed, choice and position
// alone, so that a sequence is the same alone, in a batch, after a preemption and after a restart.
// Threads: one object one thread.  Owner: its sequence.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/model/grammar.h"
#include "engine/request.h"

namespace payonce::engine {

// log softmax of `token`, and of the `count` likeliest tokens, likeliest first (ties: lower id first).
struct Likeliest {
  TokenLogprob chosen;
  std::vector<TokenLogprob> top;
};
Likeliest likeliest_of(std::span<const float> logits, int32_t token, int32_t count);
std::vector<TokenLogprob> top_logprobs(std::span<const float> logits, int32_t count);

class Sampler {
 public:
  // `prompt`: what repetition_penalty counts besides generated tokens. `grammar` may be null.
  Sampler(const Sampling& sampling, uint64_t seed, int32_t choice, std::span<const int32_t> prompt,
          std::unique_ptr<Grammar> grammar);
  Sampler fork(int32_t choice) const;

  // `banned`: tokens that may not come (end tokens before min_tokens). `position`: of the token to come. Does not
  // change `logits`. A row in which nothing is left gives the likeliest token that is not banned.
  int32_t sample(std::span<const float> logits, int32_t position, std::span<const int32_t> banned);
  void accept(int32_t token);  // it was taken

 private:
  bool is_plain() const;  // nothing changes the logits, but for a grammar
  void adjust(std::span<float> logits, std::span<const int32_t> banned);
  int32_t choose(std::span<const float> logits, int32_t position);
  int32_t draw(std::span<const float> logits, int32_t position);

  Sampling sampling_;
  uint64_t seed_;
  int32_t choice_;
  std::unordered_map<int32_t, int32_t> generated_;  // times
  std::unordered_map<int32_t, int32_t> prompt_;     // only with a repetition penalty
  std::unique_ptr<Grammar> grammar_;
  std::vector<float> scratch_;
  std::vector<TokenLogprob> candidates_;
};

}  // namespace payonce::engine
