// POST /query: a search as it is asked for, and as SQL.  Threads: pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace payonce::retrieval {

enum class Distance : uint8_t { kCosine, kL2, kInnerProduct };  // pgvector's <=>, <->, <#> (negative)

// {"collection": "schema.table", "vector": […] | "text": "…", "limit": 10, "filter": {"column": value},
// "with_vector": false}
struct SearchRequest {
  std::vector<std::string> table;  // its name, or schema and name
  std::vector<float> vector;       // empty: `text` is to be embedded
  std::string text;
  int limit = 10;
  struct Filter {
    std::string column;
    std::optional<std::string> value;  // equal to it, as PostgreSQL reads it for that column; nothing: NULL
  };
  std::vector<Filter> filters;
  bool with_vector = false;

  // kInvalid: says which field is wrong.
  static base::Result<SearchRequest> parse(std::string_view body);
};

struct Statement {
  std::string sql;
  std::vector<std::string> parameters;  // $1, $2, …
};

// REQUIRES: the vector is there. Identifiers are quoted by SQL's own rule (a doubled quote), values are parameters.
// One column of JSON objects: the row's columns and its "distance".
Statement to_sql(const SearchRequest& request, const std::string& vector_column, Distance distance);

}  // namespace payonce::retrieval
