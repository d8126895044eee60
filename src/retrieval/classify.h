// What a request to a vector store is: a query whose list may be kept, a write, or something that only passes.
// A request that is not known to read is a write: a needless invalidation costs a search, a missed one would serve
// what is no longer true. The paths are those of the stores' own API references (Qdrant 1.x, Chroma v1 and v2).
// Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "retrieval/store.h"

namespace payonce::retrieval {

enum class Act : uint8_t { kPass, kQuery, kWrite };

// A request as the store sees it. Views.
struct StoreRequest {
  std::string_view method;
  std::string_view target;  // path and query below the store's base URL: "/collections/c/points/query?timeout=5"
  std::string_view body;
  bool readable = true;  // the body is not encoded
};

struct Query {
  std::string form;           // everything of the body but the query itself, in one spelling
  std::string asked;          // the query itself, in one spelling
  std::vector<float> vector;  // empty: none, or several
  std::string text;           // empty: none
  size_t limit = 0;           // results asked for when the list may be rebuilt from others (seed.h); 0: it may not
};

struct Classified {
  Act act = Act::kPass;
  std::string collection;     // as the store names it; empty: not known, of a write: all of them
  bool applied_later = true;  // of a write: its answer may come before a query sees it
  Query query;                // of kQuery
};

Classified classify(const StoreRules& rules, const StoreRequest& request);

// Whether the body of a 200 is a whole result list: an object that reports no error, time-out or failed shard.
bool is_good_list(std::string_view body);

}  // namespace payonce::retrieval
