// A planned day as a log: rows {timestamp, latency_ms, path, session, user, request, response}, with answers and
// timings of a sample that a real model gave, and usage as the providers' rules bill it (prompt_cache/simulator).
// Threads: pure functions.
#pragma once

#include <string>
#include <vector>

#include "demo/day.h"

namespace payonce::demo {

// What a real model said to one question of a topic, and how long it took.
struct Sampled {
  std::string answer;
  int64_t output_tokens = 0;
  double ms = 0;
};

struct Sample {
  std::vector<Sampled> topics;  // [topic]
  double cold_ms = 0;           // more for a prompt of which nothing was in the engine's cache
};
// Where there is no model: the handbook's own words, and times as a small model takes on a CPU.
Sample assumed_sample(const std::vector<Topic>& topics);

// Lines of JSON. What the agents' calls took is assumed: 0.9 s, 0.1 ms a computed and 12 ms an output token.
std::string as_log(const std::vector<Asked>& day, const Sample& sample, uint64_t seed);

}  // namespace payonce::demo
