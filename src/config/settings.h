// Everything that an operator can set, with its default. Flags beat PAYONCE_… variables, these beat the file, the
// file beats defaults. One table (options.cc) holds every scalar key with its flag, variable, type and help; --help
// and docs/configuration.md come from it. Threads: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "llm/prices.h"
#include "route/limits.h"
#include "route/placement.h"
#include "route/retry.h"
#include "route/routes.h"
#include "seal/keys.h"

namespace payonce::config {

struct KeySettings {  // [keys.NAME]
  std::string name;
  std::string sha256;               // hex of SHA-256 of the key; `payonce key` makes both
  std::vector<std::string> scopes;  // parts that it owns: "team:search", "public", "user:*"
  route::Limit limit;               // 0: as [limits]
};

struct EngineSettings {          // [engine]: `payonce engine`, and the engine inside `payonce up`
  int threads = 0;               // that compute; 0: one per core
  int32_t kv_blocks = 0;         // of the full pool; 0: as many as kv_memory holds
  uint64_t kv_memory_bytes = 0;  // of the pools; 0: a quarter of the machine's, at most 2 GiB
  uint64_t kv_ram_bytes = 256ull << 20;
  uint64_t kv_disk_bytes = 2ull << 30;
  std::string kv_type = "f16";  // or q8_0
  bool exact = false;           // batch-invariant products for every kind of weights
  int32_t context_tokens = 0;   // 0: as the model was trained, as far as the pool holds it
  int32_t max_batch = 64;
  int32_t prefill_chunk = 512;
  int32_t max_queue = 256;
  std::string chat_template_file;
  std::vector<std::string> public_prefix_files;
  std::string device;  // empty: the CPU
};

enum class SemanticPolicy : uint8_t { kBound, kThreshold };
enum class SemanticCompare : uint8_t { kExact, kNormalised, kEmbedding, kJudge };

struct SemanticSettings {
  SemanticPolicy policy = SemanticPolicy::kBound;
  double threshold = 0.92;  // cosine, for kThreshold
  double ask_again = 0.05;  // share of the hits
  SemanticCompare compare = SemanticCompare::kEmbedding;
  double equal_cosine = 0.92;
  uint64_t max_memory_bytes = 256ull << 20;
  std::string judge_url, judge_model, judge_key_file;
  std::string judge_key;  // from there
};

// What makes text comparable: for the semantic layer, and served at /v1/embeddings by `up` and `engine`.
struct EmbedderSettings {
  std::string source;    // semantic.embedder: a GGUF file, a URL or "none"; empty: the file that is found
  std::string model;     // of a URL
  std::string key_file;  // of a URL
  std::string key;       // from there
  int threads = 1;
  int32_t max_queue = 1024;  // texts
  int32_t dimensions = 0;    // 0: as many as the model has
};

enum class VectorStoreKind : uint8_t { kQdrant, kChroma, kHttp, kPostgres };

struct VectorStoreSettings {  // [retrieval.NAME]
  std::string name;
  VectorStoreKind kind = VectorStoreKind::kHttp;
  std::string prefix;           // of the paths on our listener: "/retrieval/NAME"
  route::UpstreamPtr upstream;  // anthropic_base_url is its URL; of kPostgres a connection string instead
  std::vector<std::string> read, write, query_path;
  bool one_epoch = true;
  int64_t settle_ms = 0;
  int64_t ttl_s = 0;
  int64_t connections = 4;                  // of kPostgres
  std::string vector_column = "embedding";  // of kPostgres
  std::string distance = "cosine";          // of kPostgres: cosine, l2, ip
};

struct RetrievalSettings {
  uint64_t max_memory_bytes = 64ull << 20;
  int64_t ttl_s = 600;
  bool paraphrase = true;
  bool seed = false;
  double recall_bound = 0.95;
  double shadow = 0.1;
  std::vector<VectorStoreSettings> stores;  // in the order of the file
};

struct AgentSettings {
  std::string socket = "auto";  // auto: where the SDKs look; off; or a path
  int64_t ttl_s = 7 * 24 * 3600;
  uint64_t max_memory_bytes = 256ull << 20;  // of what is known of entries; their values count for max_memory
};

struct PrefixSettings {
  route::PrefixMode mode = route::PrefixMode::kDefault;  // safe where `layers` names prefix, else observe
  std::vector<std::string> move;     // models or patterns whose volatile text may be moved; "*": all
  std::vector<std::string> context;  // the same: whose documents may be ordered
  std::vector<std::string> repeats;  // the same: whose repeated documents may be left out
  route::CompactionMode compaction = route::CompactionMode::kOff;
  int64_t hold_ms = 3000;
  double keep_alive_budget_usd = 0;          // a day, for pings; 0: none
  uint64_t max_memory_bytes = 192ull << 20;  // spellings, call sites, last requests, requests to compare
};

// Who may read /metrics.
enum class MetricsAccess : uint8_t { kAdmin, kLocal, kAll };

struct Settings {
  std::string listen = "127.0.0.1:4141";
  std::string data_dir;         // default: $PAYONCE_HOME/data, $XDG_DATA_HOME/payonce or ~/.local/share/payonce
  bool data_dir_given = false;  // it is not the default
  std::vector<std::string> layers = {"exact", "semantic", "prefix"};  // empty: none
  bool layers_given = false;                                          // they are not the default
  double error_bound = 0.01;                                          // semantic layer
  int threads = 0;                                                    // event loops; 0: one per core, at most 4
  uint64_t max_memory_bytes = 256ull << 20;        // memory tier; sizes read "256MiB", "1GiB", "64KiB", plain bytes
  uint64_t max_disk_bytes = 1ull << 30;            // disk tier; 0: none
  std::string tls_certificate_file, tls_key_file;  // listen with TLS when both are set

  bool cache_sampled = true;  // policy.sampled = "cache" | "bypass"
  int64_t ttl_s = 24 * 3600;  // policy.ttl: seconds, or "90s", "15m", "24h", "7d"
  bool replay_pace = false;   // policy.replay_pace: a stream hit comes at its recorded pace

  route::Limit default_limit;             // limits.requests_per_minute, limits.budget_usd_per_day (per caller)
  uint64_t max_body_bytes = 32ull << 20;  // limits.max_body
  int64_t max_connections = 20'000;       // limits.max_connections
  int64_t max_in_flight = 10'000;         // limits.max_in_flight
  int64_t drain_timeout_ms = 30'000;      // limits.drain_timeout

  route::RetryPolicy retry;  // retry.attempts, retry.base_pause, retry.max_pause, retry.statuses

  route::RoutingPolicy routing = route::RoutingPolicy::kOrder;  // routing.policy
  int64_t tokenize_within_ms = 20;                              // routing.tokenize_within; 0: no engine is asked

  base::LogLevel log_level = base::LogLevel::kInfo;     // log.level
  base::LogFormat log_format = base::LogFormat::kText;  // log.format
  std::string record_file;                              // record.file; empty: nothing is recorded
  uint64_t record_max_bytes = uint64_t{1} << 30;        // record.max_size, of it and the one before
  bool log_requests = false;    // log.requests: one line a request; never bodies or credentials
  std::string traces_endpoint;  // traces.endpoint, or OTEL_EXPORTER_OTLP_ENDPOINT

  std::string encryption_key_file;  // encryption.key_file, read by load()
  seal::Protection protection;      // its keys, or those of PAYONCE_ENCRYPTION_KEY; encryption.plaintext

  std::string admin_token_file;  // admin.token_file, read by load()
  std::string admin_token;       // from there, or PAYONCE_ADMIN_TOKEN; empty: made at start, see docs/operations
  bool admin_local = true;       // admin.local: see docs/dashboard.md
  MetricsAccess admin_metrics = MetricsAccess::kLocal;  // admin.metrics
  std::vector<std::string> hosts;                       // hosts: own names, see docs/dashboard.md

  std::vector<route::UpstreamPtr> upstreams;  // [upstreams.NAME], in the order of the file; or --upstream
  std::vector<KeySettings> keys;              // [keys.NAME]
  std::map<std::string, llm::Price> prices;   // [prices."MODEL"]: USD per 1M tokens
  std::string model_file;                     // `up`, `engine`; default: the one that ./dev run fetches
  EngineSettings engine;
  SemanticSettings semantic;
  EmbedderSettings embedder;
  RetrievalSettings retrieval;
  PrefixSettings prefix;
  AgentSettings agent;
};

// "256MiB" → bytes; "15m" → seconds. kInvalid says what is understood.
base::Result<uint64_t> parse_size(std::string_view text);
base::Result<int64_t> parse_duration_s(std::string_view text);

}  // namespace payonce::config
