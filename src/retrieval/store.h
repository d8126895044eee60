// What is configured of one vector store behind the proxy: [retrieval.NAME].  Threads: plain values, read-only once
// built.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace payonce::retrieval {

enum class StoreKind : uint8_t { kQdrant, kChroma, kHttp, kPostgres };
std::string_view kind_name(StoreKind kind);  // "qdrant"

struct StoreRules {
  std::string name;
  StoreKind kind = StoreKind::kHttp;
  // Of kHttp: "POST /v1/graphql", the path with '*' for any run of characters. A request that matches `write` is a
  // write; else one that matches `read` is a query; else, without any `write`, everything but GET, HEAD and OPTIONS
  // is a write, and with it PUT, PATCH and DELETE are.
  std::vector<std::string> read, write;
  std::vector<std::string> query_path;  // of kHttp: members and indexes down to the vector or text; empty: none
  bool one_epoch = true;                // a write to any collection invalidates every collection (aliases)
  int64_t settle_ms = 1000;             // after a write that is applied later than answered: nothing is stored
  int64_t ttl_s = 600;
};

}  // namespace payonce::retrieval
