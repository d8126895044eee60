#include "config/options.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/ascii.h"
#include "config/option_fields.h"

namespace payonce::config {
namespace {

using namespace fields;  // the table reads as a table

constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kKvTypes{{{"f16", "f16"}, {"q8_0", "q8_0"}}};
constexpr std::array<std::pair<std::string_view, SemanticPolicy>, 2> kSemanticPolicies{
    {{"bound", SemanticPolicy::kBound}, {"threshold", SemanticPolicy::kThreshold}}};
constexpr std::array<std::pair<std::string_view, SemanticCompare>, 4> kSemanticCompares{
    {{"exact", SemanticCompare::kExact},
     {"normalised", SemanticCompare::kNormalised},
     {"embedding", SemanticCompare::kEmbedding},
     {"judge", SemanticCompare::kJudge}}};
constexpr std::array<std::pair<std::string_view, bool>, 2> kSampled{{{"cache", true}, {"bypass", false}}};
constexpr std::array<std::pair<std::string_view, bool>, 2> kPlaintexts{{{"seal", true}, {"refuse", false}}};
constexpr std::array<std::pair<std::string_view, base::LogLevel>, 5> kLevels{{{"debug", base::LogLevel::kDebug},
                                                                              {"info", base::LogLevel::kInfo},
                                                                              {"warn", base::LogLevel::kWarn},
                                                                              {"error", base::LogLevel::kError},
                                                                              {"off", base::LogLevel::kOff}}};
constexpr std::array<std::pair<std::string_view, MetricsAccess>, 3> kMetricsAccess{
    {{"admin", MetricsAccess::kAdmin}, {"local", MetricsAccess::kLocal}, {"all", MetricsAccess::kAll}}};
constexpr std::array<std::pair<std::string_view, base::LogFormat>, 2> kFormats{
    {{"text", base::LogFormat::kText}, {"json", base::LogFormat::kJson}}};

base::Status set_listen(Settings& settings, std::string_view value) {
  const size_t colon = value.rfind(':');
  uint16_t port = 0;
  const std::string_view host = value.substr(0, colon);
  const bool bare_ipv6 = host.find(':') != std::string_view::npos && !host.starts_with('[');
  if (colon == std::string_view::npos || host.empty() || bare_ipv6 || !read_number(value.substr(colon + 1), port))
    return expected("HOST:PORT such as \"127.0.0.1:4141\" or \"[::1]:4141\" (port 0: any free one)", value);
  settings.listen = value;
  return {};
}

base::Status set_layers(Settings& settings, std::string_view value) {
  constexpr std::string_view kKnown = "layers: exact, semantic, prefix, or none";
  const std::vector<std::string_view> names = split(value);
  std::vector<std::string> layers;
  for (const std::string_view name : names) {
    if (name != "exact" && name != "semantic" && name != "prefix" && name != "none") return expected(kKnown, name);
    if (name == "none" && names.size() > 1) return expected("\"none\" alone, or the names of layers", value);
    if (name != "none" && std::ranges::find(layers, name) == layers.end()) layers.emplace_back(name);
  }
  if (names.empty()) return expected(kKnown, value);
  const auto names_layer = [&](std::string_view layer) { return std::ranges::find(layers, layer) != layers.end(); };
  if (names_layer("semantic") && !names_layer("exact"))
    return base::fail(base::Code::kInvalid,
                      "layer \"semantic\" gives answers that \"exact\" stores: name both, exact,semantic");
  settings.layers = std::move(layers);
  settings.layers_given = true;
  return {};
}

base::Status set_statuses(Settings& settings, std::string_view value) {
  std::vector<int> statuses;
  for (const std::string_view part : split(value)) {
    int status = 0;
    if (!read_number(part, status) || status < 400 || status > 599)
      return expected("HTTP statuses from 400 to 599, such as [429, 503]", part);
    statuses.push_back(status);
  }
  settings.retry.statuses = std::move(statuses);
  return {};
}

base::Status set_public_prefixes(Settings& settings, std::string_view value) {
  settings.engine.public_prefix_files.clear();
  for (const std::string_view file : split(value)) settings.engine.public_prefix_files.emplace_back(file);
  return {};
}

base::Status set_hosts(Settings& settings, std::string_view value) {
  std::vector<std::string> hosts;
  for (const std::string_view name : split(value)) {
    if (name.find_first_of(":/@[] ") != std::string_view::npos)
      return expected("host names without port, such as \"gateway.example\"", name);
    hosts.emplace_back(name);
  }
  settings.hosts = std::move(hosts);
  return {};
}

constexpr Field kHosts{Kind::kList, set_hosts,
                       [](const Settings& s) { return fmt::format("{}", fmt::join(s.hosts, ",")); }};
constexpr Field kListen{Kind::kText, set_listen, [](const Settings& s) { return s.listen; }};
constexpr Field kLayers{Kind::kList, set_layers, [](const Settings& s) {
                          return s.layers.empty() ? std::string("none") : fmt::format("{}", fmt::join(s.layers, ","));
                        }};
constexpr Field kStatuses{Kind::kList, set_statuses,
                          [](const Settings& s) { return fmt::format("{}", fmt::join(s.retry.statuses, ",")); }};

constexpr Field kPublicPrefixes{Kind::kList, set_public_prefixes, [](const Settings& s) {
                                  return fmt::format("{}", fmt::join(s.engine.public_prefix_files, ","));
                                }};

constexpr int64_t kMaxCount = 10'000'000;
constexpr int64_t kMaxAmount = 1'000'000'000;

#define AT(member) [](auto& s) -> auto& { return s.member; }
constexpr Option kOptions[] = {
    {"listen", "--listen", kListen, "address to listen on; port 0 takes a free one", "--listen"},
    {"hosts", "--hosts", kHosts,
     "names of its own that an instance on loopback is asked by, and hosts of web pages that may ask it; others, "
     "without "
     "a credential, are refused, since any page could be behind them"},
    {"data", "--data", text<AT(data_dir)>(),
     "directory of the store, the ledger and the secrets; default: $PAYONCE_HOME/data, else $XDG_DATA_HOME/payonce, "
     "else ~/.local/share/payonce; `payonce engine` keeps KV on disk only when it is given",
     "--data"},
    {"layers", "--layers", kLayers,
     "cache layers that act: exact, semantic, prefix, or none; naming prefix lets it change requests (prefix.mode)"},
    {"error_bound", "--error-bound", number<AT(error_bound), 1>(),
     "semantic layer: the share of the requests that it may answer wrongly"},
    {"threads", "--threads", whole<AT(threads), 0, 1024>(), "event loops; 0: one per core, at most 4"},
    {"max_memory", "--max-memory", size<AT(max_memory_bytes)>(), "answers held in memory"},
    {"max_disk", "--max-disk", size<AT(max_disk_bytes)>(), "answers held on disk; 0: none"},
    {"model", "--model", text<AT(model_file)>(),
     "`payonce up`, `payonce engine`: GGUF file of the model; default: the one that ./dev run fetches", "--model"},
    {"engine.threads", "--engine-threads", whole<AT(engine.threads), 0, 1024>(),
     "threads that compute; 0: one per core", "--threads"},
    {"engine.context", "--context", whole<AT(engine.context_tokens), 0, kMaxCount>(),
     "longest prompt and answer together, tokens; 0: as the model was trained, as far as the KV pool holds it",
     "--context"},
    {"engine.max_batch", "--max-batch", whole<AT(engine.max_batch), 1, 4096>(), "sequences that decode at once",
     "--max-batch"},
    {"engine.prefill_chunk", "--prefill-chunk", whole<AT(engine.prefill_chunk), 1, 65536>(),
     "prompt tokens computed in one step, of all sequences together", "--prefill-chunk"},
    {"engine.max_queue", "--max-queue", whole<AT(engine.max_queue), 1, kMaxCount>(),
     "requests that wait; more are answered 429", "--max-queue"},
    {"engine.kv_blocks", "--kv-blocks", whole<AT(engine.kv_blocks), 0, kMaxCount>(),
     "blocks of 16 tokens in the KV pool; 0: as many as engine.kv_memory holds", "--kv-blocks"},
    {"engine.kv_memory", "--kv-memory", size<AT(engine.kv_memory_bytes)>(),
     "memory of the KV pool; 0: a quarter of the machine's, at most 2GiB", "--kv-memory"},
    {"engine.kv_ram", "--kv-ram", size<AT(engine.kv_ram_bytes)>(),
     "memory for KV blocks that the pool gave up; 0: none", "--kv-ram"},
    {"engine.kv_disk_size", "--kv-disk-size", size<AT(engine.kv_disk_bytes)>(),
     "disk for KV blocks, below the data directory: prefixes outlive a restart; 0: none", "--kv-disk-size"},
    {"engine.kv_type", "--kv-type", choice<AT(engine.kv_type), kKvTypes>(),
     "how keys and values are kept: f16, or q8_0 in about half the memory", "--kv-type"},
    {"engine.exact", "--exact", boolean<AT(engine.exact)>(),
     "the same bits whatever else is computed at the time, for every kind of weights; slower for some "
     "(docs/engine.md)",
     "--exact"},
    {"engine.chat_template", "--chat-template", text<AT(engine.chat_template_file)>(),
     "file with a Jinja chat template instead of the model's own", "--chat-template"},
    {"engine.public_prefix", "--public-prefix", kPublicPrefixes,
     "files with system prompts whose KV all callers share; everything else is each caller's own", "--public-prefix"},
    {"engine.device", "--device", text<AT(engine.device)>(), "a ggml device by name, such as CUDA0; default: the CPU",
     "--device"},
    {"semantic.policy", "--semantic-policy", choice<AT(semantic.policy), kSemanticPolicies>(),
     "bound: the threshold follows from error_bound; threshold: a fixed cosine decides, whatever the error"},
    {"semantic.threshold", "--semantic-threshold", number<AT(semantic.threshold), 1>(),
     "with semantic.policy = \"threshold\": from which cosine a stored answer is given; 0.85 to 0.95 is usual"},
    {"semantic.ask_again", "--semantic-ask-again", number<AT(semantic.ask_again), 1>(),
     "share of the semantic hits that are asked upstream as well, to measure how often they are wrong; it costs "
     "those calls"},
    {"semantic.compare", "--semantic-compare", choice<AT(semantic.compare), kSemanticCompares>(),
     "when a fresh answer counts as equal to a stored one: exact, normalised (but for case, blanks, punctuation), "
     "embedding (else, prose with the same numbers, by its cosine), or judge (else, a model says)"},
    {"semantic.judge", "--semantic-judge", text<AT(semantic.judge_url)>(),
     "with semantic.compare = \"judge\": base URL of an OpenAI-compatible model; each label costs a call"},
    {"semantic.judge_model", "--semantic-judge-model", text<AT(semantic.judge_model)>(), "its name there"},
    {"semantic.judge_key_file", "--semantic-judge-key-file", text<AT(semantic.judge_key_file)>(),
     "file with its key, sent as a bearer token"},
    {"semantic.equal_cosine", "--semantic-equal-cosine", number<AT(semantic.equal_cosine), 1>(),
     "with semantic.compare = \"embedding\": from which cosine two answers say the same"},
    {"semantic.max_memory", "--semantic-max-memory", size<AT(semantic.max_memory_bytes)>(),
     "questions of the semantic layer held in memory; the answers count for max_memory"},
    {"semantic.embedder", "--embedder", text<AT(embedder.source)>(),
     "what makes vectors of text: a GGUF file of the BERT architecture, the URL of an OpenAI-compatible API (…/v1), "
     "or "
     "none; default: $PAYONCE_EMBEDDER, else the file that ./dev run makes, else the package's",
     "--embedder"},
    {"semantic.embedder_model", "--embedder-model", text<AT(embedder.model)>(), "a URL's model", "--embedder-model"},
    {"semantic.embedder_key_file", "--embedder-key-file", text<AT(embedder.key_file)>(),
     "file with the key for a URL; default: none is sent", "--embedder-key-file"},
    {"semantic.embedder_threads", "--embedder-threads", whole<AT(embedder.threads), 1, 256>(),
     "texts computed at the same time, a core each", "--embedder-threads"},
    {"semantic.embedder_queue", "--embedder-queue", whole<AT(embedder.max_queue), 1, kMaxCount>(),
     "texts that wait; more are refused, and the semantic layer does without", "--embedder-queue"},
    {"semantic.embedder_dimensions", "--embedder-dimensions", whole<AT(embedder.dimensions), 0, 65536>(),
     "numbers of a vector: the first ones, made length 1 again; 0: all; a URL needs it", "--embedder-dimensions"},
    {"retrieval.max_memory", "--retrieval-max-memory", size<AT(retrieval.max_memory_bytes)>(),
     "result lists of vector stores held in memory"},
    {"retrieval.ttl", "--retrieval-ttl", seconds<AT(retrieval.ttl_s)>(),
     "how long a result list may be given again; short, since writes that go past the proxy are not seen"},
    {"retrieval.paraphrase", "--retrieval-paraphrase", boolean<AT(retrieval.paraphrase)>(),
     "a query in other words gets the list when the verifier is sure; it needs an embedder and the query's text"},
    {"retrieval.seed", "--retrieval-seed", boolean<AT(retrieval.seed)>(),
     "a query near others is searched among their lists, while the measured recall allows it"},
    {"retrieval.recall_bound", "--retrieval-recall-bound", number<AT(retrieval.recall_bound), 1>(),
     "with retrieval.seed: the share of a full search's results that the seeded one must find, with 95 % confidence"},
    {"retrieval.shadow", "--retrieval-shadow", number<AT(retrieval.shadow), 1>(),
     "with retrieval.seed: share of the seeded searches that the store makes in full instead, to measure the recall"},
    {"prefix.mode", "--prefix-mode", choice<AT(prefix.mode), route::kPrefixModes>(),
     "what the prefix layer may do to requests: off, observe (say what it would do), safe (tool order, spelling, "
     "breakpoints), aggressive (move volatile text, too); default: safe where layers names prefix, else observe"},
    {"prefix.move", "--prefix-move", models<AT(prefix.move)>(),
     "volatile lines of the system prompt go behind the last breakpoint: off, on, or for models such as "
     "\"claude-*\""},
    {"prefix.context", "--prefix-context", models<AT(prefix.context)>(),
     "retrieved documents go in the order of first sight, ahead of the question, with their ranking behind them: "
     "off, "
     "on, or for models (docs/prefix-context.md)"},
    {"prefix.repeats", "--prefix-repeats", models<AT(prefix.repeats)>(),
     "a document that stands in an earlier turn of the conversation is named, not sent again: off, on, or for "
     "models"},
    {"prefix.compaction", "--prefix-compaction", choice<AT(prefix.compaction), route::kCompactionModes>(),
     "calls that summarise a conversation: off, cache (the same conversation gets its summary again, whatever time "
     "or "
     "id stands beside it), rewrite (and behind the session's own prefix; docs/compaction.md)"},
    {"prefix.hold", "--prefix-hold", milliseconds<AT(prefix.hold_ms)>(),
     "how long a request waits, at most, for the first of its fan-out to write the prefix that they share; 0: not at "
     "all"},
    {"prefix.keep_alive_budget", "--prefix-keep-alive-budget", number<AT(prefix.keep_alive_budget_usd), kMaxAmount>(),
     "USD a day (UTC) for reads that keep written prefixes alive between requests (docs/prefix-keep-alive.md); 0: "
     "none"},
    {"prefix.max_memory", "--prefix-max-memory", size<AT(prefix.max_memory_bytes)>(),
     "what the prefix layer remembers of requests, in memory, a quarter each: first spellings, call sites and their "
     "system texts, the last request of each session, what breakers are found in"},
    {"routing.policy", "--routing-policy", choice<AT(routing), route::kRoutingPolicies>(),
     "which of the upstreams that serve a model gets a request: order (the first that works; a conversation stays "
     "where its prefix is), balance (replicas: the one that is expected to begin first), cost (the cheapest, with "
     "the rebuilding of the prefix)"},
    {"routing.tokenize_within", "--routing-tokenize-within", milliseconds<AT(tokenize_within_ms)>(),
     "how long a request waits, at most, for an engine with kv_events to say which tokens it is; 0: no engine is "
     "asked"},
    {"tls.certificate_file", "--tls-certificate", text<AT(tls_certificate_file)>(),
     "PEM certificate chain; with tls.key_file the gateway listens with TLS"},
    {"tls.key_file", "--tls-key", text<AT(tls_key_file)>(), "PEM private key of tls.certificate_file"},
    {"policy.sampled", "--sampled", choice<AT(cache_sampled), kSampled>(),
     "requests with a temperature above 0, or none: cache, or bypass"},
    {"policy.ttl", "--ttl", seconds<AT(ttl_s)>(), "how long an answer may be given again"},
    {"policy.replay_pace", "--replay-pace", boolean<AT(replay_pace)>(), "a streamed hit comes at its recorded pace"},
    {"limits.requests_per_minute", "--requests-per-minute",
     number<AT(default_limit.requests_per_minute), kMaxAmount>(), "of each caller; 0: no limit"},
    {"limits.budget_usd_per_day", "--budget-usd-per-day", number<AT(default_limit.budget_usd_per_day), kMaxAmount>(),
     "what the upstreams' answers to each caller may cost in a day (UTC); 0: no limit"},
    {"limits.max_body", "--max-body", size<AT(max_body_bytes)>(), "request body; a larger one is answered 413",
     "--max-body"},
    {"limits.max_connections", "--max-connections", whole<AT(max_connections), 1, kMaxCount>(),
     "open client connections", "--max-connections"},
    {"limits.max_in_flight", "--max-in-flight", whole<AT(max_in_flight), 1, kMaxCount>(), "requests at a time"},
    {"limits.drain_timeout", "--drain-timeout", milliseconds<AT(drain_timeout_ms)>(),
     "after SIGTERM: how long answers in flight may take", "--drain-timeout"},
    {"retry.attempts", "--retry-attempts", whole<AT(retry.attempts), 1, 20>(), "tries of one request in all"},
    {"retry.base_pause", "--retry-base-pause", milliseconds<AT(retry.base_pause_ms)>(),
     "before the second try; doubles with each, with jitter"},
    {"retry.max_pause", "--retry-max-pause", milliseconds<AT(retry.max_pause_ms)>(),
     "the longest pause between tries"},
    {"retry.statuses", "--retry-statuses", kStatuses,
     "statuses that are asked for again at the same upstream; none by default, since the SDKs retry and a try may be "
     "billed"},
    {"log.level", "--log-level", choice<AT(log_level), kLevels>(), "debug, info, warn, error, off", "--log-level"},
    {"log.format", "--log-format", choice<AT(log_format), kFormats>(), "text, or json: one object a line",
     "--log-format"},
    {"log.requests", "--log-requests", boolean<AT(log_requests)>(),
     "one line a request; never bodies or credentials"},
    {"agent.socket", "--agent-socket", text<AT(agent.socket)>(),
     "Unix socket of the agent API: a path, off, or auto: $XDG_RUNTIME_DIR/payonce/PORT.sock, else "
     "/tmp/payonce-UID/PORT.sock"},
    {"agent.ttl", "--agent-ttl", seconds<AT(agent.ttl_s)>(), "how long an entry of the agent API may be given again"},
    {"agent.max_memory", "--agent-max-memory", size<AT(agent.max_memory_bytes)>(),
     "what is known of the agent API's entries, in memory; the values count for max_memory and max_disk; as much "
     "again, "
     "at most, for open tickets and for values whose run goes on"},
    {"record.file", "--record", text<AT(record_file)>(),
     "each finished request and its answer, a JSON line each, for audit and lint (docs/recording.md); a name in .zst "
     "is packed; default: nothing is recorded"},
    {"record.max_size", "--record-max-size", size<AT(record_max_bytes)>(),
     "of record.file and the one before, FILE.1, together"},
    {"encryption.key_file", "--encryption-key-file", text<AT(encryption_key_file)>(),
     "file with the keys that seal the data directory: base64 of 32 bytes or 64 hex digits, one a line, the first "
     "writes; $PAYONCE_ENCRYPTION_KEY is the same as a text; default: nothing is sealed "
     "(docs/operations/encryption.md)",
     "--encryption-key-file"},
    {"encryption.plaintext", "--encryption-plaintext", choice<AT(protection.take_plaintext), kPlaintexts>(),
     "what lies in the data directory unsealed although there is a key: seal it at the start, or refuse to start",
     "--encryption-plaintext"},
    {"admin.token_file", "--admin-token-file", text<AT(admin_token_file)>(),
     "file with the token of the admin API; $PAYONCE_ADMIN_TOKEN is the token itself; without both one is made at "
     "start"},
    {"admin.local", "--admin-local", boolean<AT(admin_local)>(),
     "the dashboard needs no token when the instance listens on loopback and the browser is on this machine; false "
     "where others have accounts here, or a proxy stands before it"},
    {"admin.metrics", "--admin-metrics", choice<AT(admin_metrics), kMetricsAccess>(),
     "who may read /metrics: all; local: programs on this machine, if the instance listens on loopback, and the "
     "admin; "
     "admin: the bearer of the admin token alone"},
    {"traces.endpoint", "--traces-endpoint", text<AT(traces_endpoint)>(),
     "OTLP/HTTP collector such as http://127.0.0.1:4318; default: $OTEL_EXPORTER_OTLP_ENDPOINT"},
};
#undef AT

}  // namespace

std::string_view kind_name(Kind kind) {
  switch (kind) {
    case Kind::kText: return "a text";
    case Kind::kWhole: return "a whole number";
    case Kind::kNumber: return "a number";
    case Kind::kBool: return "true or false";
    case Kind::kSize: return "a size";
    case Kind::kDuration: return "a duration";
    case Kind::kChoice: return "a word";
    case Kind::kList: return "a list";
  }
  return "a value";
}

std::span<const Option> options() { return kOptions; }

const Option* find_option(std::string_view key) {
  const auto found = std::ranges::find(kOptions, key, &Option::key);
  return found == std::end(kOptions) ? nullptr : &*found;
}

std::string variable_of(std::string_view key) {
  std::string out = "PAYONCE_";
  for (const char c : key) {
    out += c == '.' ? '_' : base::is_lower(c) ? static_cast<char>(c - 'a' + 'A') : c;
  }
  return out;
}

}  // namespace payonce::config
