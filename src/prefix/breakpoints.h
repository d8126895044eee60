// Which blocks are marked, within a provider's rules: never more than it takes, never below its minimum, never on a
// block that may not carry a marker, and a long TTL never behind a short one. Threads: pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "prefix/arrangement.h"
#include "prefix/prompt/prompt.h"
#include "prompt_cache/rules.h"

namespace payonce::prefix {

// A place where writing is wanted.
struct Wanted {
  uint32_t sent = 0;  // index into the sent blocks
  Marker ttl = Marker::kShort;
  double worth = 0;  // the higher, the sooner it gets one of the few breakpoints
};

struct Legal {
  int64_t max_marks = 0;  // what the provider takes, less those that it sets itself
  int64_t min_tokens = 0;
  bool has_long = false;
};
Legal legal_of(const prompt_cache::Rule& rule, const Prompt& prompt);

// The breakpoints to set, ascending. A place that may not be marked gives way to the nearest before it that may.
std::vector<Mark> place(const Prompt& prompt, const std::vector<SentBlock>& sent, std::vector<Wanted> wanted,
                        const Legal& legal);

MarkerSpelling spelling_of(const prompt_cache::Rule& rule);

}  // namespace payonce::prefix
