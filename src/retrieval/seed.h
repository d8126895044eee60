// A search among the lists of near queries instead of the whole collection: every row of theirs is scored with the
// new query's vector, exactly as the store scores, and the best are the list. How the store scores is not guessed: it
// is the one measure that gives every score of the lists again from their own queries' vectors.
// Threads: pure functions.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retrieval/store.h"

namespace payonce::retrieval {

// A near query and its list. Views.
struct Seed {
  std::span<const float> query;
  std::string_view body;
};

struct Seeded {
  std::string body;
  std::vector<std::string> ids;  // best first
};

// Nothing: some list has rows without vectors, no measure explains the scores, or there are fewer than `limit` rows.
std::optional<Seeded> search_seeds(StoreKind kind, std::span<const Seed> seeds, std::span<const float> query,
                                   size_t limit);

// The share of `full` that is in `found`; an empty `full` is found whole.
double recall_of(std::span<const std::string> found, std::span<const std::string> full);

}  // namespace payonce::retrieval
