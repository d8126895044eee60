// A store's result list as rows with their vectors, so that it can be scored again, and back to the store's own JSON.
// Of Qdrant (points/query, points/search) and Chroma (query); others have none.  Threads: pure functions.
#pragma once

#include <boost/json/value.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "retrieval/store.h"

namespace payonce::retrieval {

struct ResultRow {
  std::string id;  // as JSON
  double score = 0;
  std::vector<float> vector;
  boost::json::value row;  // Qdrant: the point; Chroma: an object of the columns' values
};

struct ResultList {
  std::vector<ResultRow> rows;
  boost::json::value frame;  // the answer around them
};

// Nothing: not such a list, or some row is without a vector. An empty list is one.
std::optional<ResultList> parse_list(StoreKind kind, std::string_view body);
// `frame` of a list of the same kind, with these rows and their scores in it.
std::string render_list(StoreKind kind, boost::json::value frame, std::span<const ResultRow> rows);

// The ids alone, of a list with or without vectors.
std::vector<std::string> ids_of(StoreKind kind, std::string_view body);

}  // namespace payonce::retrieval
