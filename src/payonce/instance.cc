#include "payonce/instance.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "cache/response_store.h"
#include "config/restart.h"
#include "dashboard/guard.h"
#include "embed/api/embeddings_api.h"
#include "gateway/gateway.h"
#include "identity/profile.h"
#include "kv_events/subscriptions.h"
#include "net/event_loop.h"
#include "payonce/address.h"
#include "payonce/agent_layer.h"
#include "payonce/data_directory.h"
#include "payonce/make_embedder.h"
#include "payonce/prefix_layer.h"
#include "payonce/retrieval_layer.h"
#include "payonce/run.h"
#include "payonce/semantic_layer.h"
#include "pipeline/keep_alive_stage.h"
#include "pipeline/pipeline.h"
#include "record/ledger.h"
#include "record/recorder.h"
#include "record/trace.h"
#include "route/limits.h"

namespace payonce {
namespace {

// Repeats are of requests whose answers are kept: as many as fit in memory, at 4 KiB each. Half a KiB is kept of one.
size_t raw_keys_for(uint64_t max_memory_bytes) { return std::clamp<uint64_t>(max_memory_bytes >> 12, 1024, 65'536); }

// A sixteenth of it for the bodies that explanations compare with.
size_t explained_bytes_for(uint64_t max_memory_bytes) {
  return std::clamp<uint64_t>(max_memory_bytes >> 4, 1 << 20, 16 << 20);
}

constexpr size_t kSalt_bytes = 32;
constexpr size_t kMaxDefaultLoops = 4;

size_t loop_count(const config::Settings& settings) {
  if (settings.threads > 0) return static_cast<size_t>(settings.threads);
  return std::clamp<size_t>(std::thread::hardware_concurrency(), 1, kMaxDefaultLoops);
}

// The salt of the data directory, so that scope ids are the same after a restart and say nothing of a credential.
// Without a directory to keep it in, one for this process.
std::string load_salt(base::Env& env, const std::string& directory) {
  if (!directory.empty()) {
    const std::string path = directory + "/salt";
    if (auto salt = base::read_file(env, path); salt && salt->size() >= kSalt_bytes) return *std::move(salt);
    const std::string salt = base::random_hex(kSalt_bytes);
    if (const auto written = base::write_file_atomic(env, path, salt)) return salt;
    base::log_warn("{} cannot be written: entries of this run will not be found after a restart", path);
  }
  return base::random_hex(kSalt_bytes);
}

base::Digest digest_of_hex(const std::string& hex) {
  base::Digest out{};
  for (size_t i = 0; i < out.size() && 2 * i + 1 < hex.size(); ++i)
    (void)std::from_chars(hex.data() + 2 * i, hex.data() + 2 * i + 2, out[i], 16);
  return out;
}

// `local`: null, or the engine inside, which comes before all others.
pipeline::PolicyPtr make_policy(const config::Settings& settings, const std::string& salt,
                                const route::UpstreamPtr& local, kv_events::Subscriptions& subscriptions) {
  static std::atomic<uint64_t> generations{0};
  auto policy = std::make_shared<pipeline::Policy>();
  policy->generation = ++generations;
  identity::Callers::Options callers{.salt = salt, .keys = {}};
  for (const config::KeySettings& key : settings.keys) {
    callers.keys.push_back({.name = key.name, .digest = digest_of_hex(key.sha256), .scopes = key.scopes});
    policy->limits[key.name] = key.limit;
  }
  policy->callers = identity::Callers(std::move(callers));
  std::vector<route::UpstreamPtr> upstreams = settings.upstreams;
  for (route::UpstreamPtr& upstream : upstreams) {
    if (upstream->kv_events.empty()) continue;
    auto listened = std::make_shared<route::Upstream>(*upstream);
    listened->cache_events = subscriptions.get({.events = upstream->kv_events, .replay = upstream->kv_events_replay});
    upstream = std::move(listened);
  }
  if (local) upstreams.insert(upstreams.begin(), local);
  policy->routes = route::Routes(std::move(upstreams));
  policy->prices = llm::PriceTable::built_in();
  for (const auto& [model, price] : settings.prices) policy->prices.set(model, price);
  policy->ttl_s = settings.ttl_s;
  policy->limit = settings.default_limit;
  policy->retry = settings.retry;
  policy->routing = settings.routing;
  policy->tokenize_within_ms = settings.tokenize_within_ms;
  policy->exact = std::find(settings.layers.begin(), settings.layers.end(), "exact") != settings.layers.end();
  policy->semantic = wants_semantic(settings);
  policy->cache_sampled = settings.cache_sampled;
  policy->prefix = prefix_policy(settings);
  return policy;
}

gateway::MetricsAccess metrics_access(const config::Settings& settings) {
  switch (settings.admin_metrics) {
    case config::MetricsAccess::kAdmin: return gateway::MetricsAccess::kAdmin;
    case config::MetricsAccess::kLocal: return gateway::MetricsAccess::kLocal;
    case config::MetricsAccess::kAll: return gateway::MetricsAccess::kAll;
  }
  return gateway::MetricsAccess::kAdmin;
}

}  // namespace

std::string admin_token_path(uint16_t port) {
  const char* runtime = getenv("XDG_RUNTIME_DIR");
  const std::string directory =
      runtime != nullptr && *runtime != '\0' ? runtime : fmt::format("/tmp/payonce-{}", getuid());
  return fmt::format("{}/payonce-{}.token", directory, port);
}

// In the order of construction; destroyed in reverse, after the loops have stopped.
struct Instance::Parts {
  Parts(const config::Settings& given, bool with_engine)
      : settings(given),
        directory(usable_directory(given.data_dir)),
        salt(load_salt(data.files(), directory)),
        pool({.threads = 2}),
        store(cache::ResponseStore::open(store_options(), data.files(), clock, pool, metrics)),
        ledger(directory, clock, metrics, given.protection),
        loops(loop_count(given)),
        embedder(with_engine || wants_semantic(given) || wants_paraphrases(given) ? embedder_of(given) : nullptr),
        semantic(embedder && wants_semantic(given) ? make_semantic() : nullptr),
        retrieval(given.retrieval.stores.empty()
                      ? nullptr
                      : std::make_unique<RetrievalLayer>(given, embedder.get(), clock, metrics)),
        prefix(wants_prefix(given) ? make_prefix() : nullptr),
        keep_alive(prefix ? make_keep_alive() : nullptr),
        pipeline({.clock = clock,
                  .metrics = metrics,
                  .store = *store,
                  .ledger = ledger,
                  .limits = limits,
                  .profiles = identity::Profiles::built_in().value(),
                  .semantic = semantic ? &semantic->stage() : nullptr,
                  .prefix = prefix ? &prefix->stage() : nullptr,
                  .raw_keys = raw_keys_for(given.max_memory_bytes),
                  .explained_bytes = explained_bytes_for(given.max_memory_bytes)},
                 make_policy(given, salt, nullptr, subscriptions)),
        agent(given, {.clock = clock,
                      .metrics = metrics,
                      .store = *store,
                      .ledger = ledger,
                      .pipeline = pipeline,
                      .loops = loops}) {}

  void add_engine(LocalEngine::Hooks hooks) {
    const bool on_disk = !directory.empty() && settings.engine.kv_disk_bytes > 0;
    engine = std::make_unique<LocalEngine>(
        settings, on_disk ? directory + "/kv" : "",
        EngineParts::Surroundings{.clock = clock, .metrics = metrics, .env = env, .data = data.files()},
        std::move(hooks));
  }
  // The engine begins to load its model; from now on requests go to it.
  base::Status start_engine() {
    if (embedder) embeddings = std::make_unique<embed::EmbeddingsApi>(*embedder, pool);
    engine->serve_embeddings(embeddings.get());
    PAYONCE_CHECK_OK(engine->start());
    auto upstream = std::make_shared<route::Upstream>();
    upstream->name = "local";
    upstream->identity = engine->identity();
    upstream->forward_credential = false;
    upstream->local = engine.get();
    local = std::move(upstream);
    pipeline.set_policy(make_policy(settings, salt, local, subscriptions));
    return {};
  }
  std::unique_ptr<embed::Embedder> embedder_of(const config::Settings& given) {
    auto made = make_embedder(given, metrics);
    if (made) return *std::move(made);
    embedder_status = base::fail(std::move(made.error()));
    return nullptr;
  }
  std::unique_ptr<SemanticLayer> make_semantic() {
    return std::make_unique<SemanticLayer>(
        settings, directory, *embedder,
        SemanticLayer::Surroundings{
            .clock = clock, .env = data.files(), .pool = pool, .metrics = metrics, .store = *store});
  }
  std::unique_ptr<PrefixLayer> make_prefix() {
    return std::make_unique<PrefixLayer>(
        directory, salt, settings.prefix.max_memory_bytes,
        PrefixLayer::Surroundings{.clock = clock, .env = data.files(), .pool = pool, .metrics = metrics});
  }
  std::unique_ptr<pipeline::KeepAliveStage> make_keep_alive() {
    return std::make_unique<pipeline::KeepAliveStage>(pipeline::KeepAliveStage::Parts{
        .clock = clock, .metrics = metrics, .ledger = ledger, .limits = limits, .prefix = prefix->stage()});
  }
  // A data directory that cannot be used costs the disk tier, not the service. One whose key is missing ends it, in
  // start(): none of its files may be touched.
  std::string usable_directory(const std::string& path) {
    if (path.empty()) return path;
    if (const auto made = env.make_directories(path); !made) {
      base::log_warn("data directory {}: {}; running without a disk tier (choose another with --data)", path,
                     made.error().message);
      return "";
    }
    data_status = data.open(path, settings.protection);
    return data_status ? path : "";
  }
  cache::ResponseStore::Options store_options() const {
    cache::ResponseStore::Options options;
    options.memory_bytes = settings.max_memory_bytes;
    options.directory = settings.max_disk_bytes > 0 ? directory : "";
    options.disk_bytes = settings.max_disk_bytes;
    return options;
  }

  const config::Settings settings;
  base::PosixEnv env;
  base::SystemClock clock;
  base::Metrics metrics;
  DataDirectory data{env, metrics};
  base::Status data_status;  // why the data directory is not opened
  const std::string directory;
  const std::string salt;
  base::WorkerPool pool;
  std::unique_ptr<cache::ResponseStore> store;
  record::Ledger ledger;
  route::Limits limits;
  kv_events::Subscriptions subscriptions{clock};
  record::Recorder recorder{env, clock, metrics};
  net::EventLoops loops;
  base::Status embedder_status;                          // why there is none, where one was named
  std::unique_ptr<embed::Embedder> embedder;             // null: none
  std::unique_ptr<embed::EmbeddingsApi> embeddings;      // null: without an engine or an embedder
  std::unique_ptr<SemanticLayer> semantic;               // null: not wanted, or no embedder
  std::unique_ptr<RetrievalLayer> retrieval;             // null: no vector stores
  std::unique_ptr<PrefixLayer> prefix;                   // null: no such layer
  std::unique_ptr<pipeline::KeepAliveStage> keep_alive;  // the same
  std::unique_ptr<LocalEngine> engine;                   // null: every upstream is elsewhere
  route::UpstreamPtr local;                              // the engine as an upstream
  std::unique_ptr<record::Tracer> tracer;
  pipeline::Pipeline pipeline;
  AgentLayer agent;
  std::unique_ptr<gateway::Gateway> gateway;
  std::string token_path;
};

Instance::Instance(const config::Settings& settings) : parts_(std::make_unique<Parts>(settings, false)) {}

Instance::Instance(const config::Settings& settings, LocalEngine::Hooks hooks)
    : parts_(std::make_unique<Parts>(settings, true)) {
  parts_->add_engine(std::move(hooks));
}

Instance::~Instance() {
  parts_->loops.stop();
  if (parts_->engine) parts_->engine->join();  // its greeting asks the gateway, which goes before it
  parts_->embedder.reset();                    // what waits in it is told to the stage, which is still there
  parts_->pool.drain();
  if (!parts_->token_path.empty()) (void)parts_->env.remove(parts_->token_path);
  parts_->store->flush();
}

base::Status Instance::start() {
  Parts& p = *parts_;
  PAYONCE_CHECK_OK(p.data_status);
  PAYONCE_CHECK_OK(p.embedder_status);
  PAYONCE_TRY(const Address address, parse_listen(p.settings.listen));
  if (!p.settings.traces_endpoint.empty()) {
    auto tracer = record::Tracer::make({.endpoint = p.settings.traces_endpoint}, p.loops[0], p.metrics);
    if (!tracer) return base::fail(base::Code::kInvalid, fmt::format("traces.endpoint: {}", tracer.error().message));
    p.tracer = *std::move(tracer);
  }
  gateway::Gateway::Options options;
  options.server.address = address.host;
  options.server.port = address.port;
  options.server.tls = {.certificate_file = p.settings.tls_certificate_file, .key_file = p.settings.tls_key_file};
  options.server.limits.max_body_bytes = p.settings.max_body_bytes;
  options.server.limits.max_connections = static_cast<size_t>(p.settings.max_connections);
  options.max_in_flight = static_cast<size_t>(p.settings.max_in_flight);
  options.admin_token = p.settings.admin_token.empty() ? base::random_hex(16) : p.settings.admin_token;
  options.on_loopback = dashboard::is_loopback(address.host);
  options.local_sessions = p.settings.admin_local && options.on_loopback;
  options.hosts = p.settings.hosts;
  options.metrics_access = metrics_access(p.settings);
  options.log_requests = p.settings.log_requests;
  options.replay_pace = p.settings.replay_pace;
  if (p.engine) {
    options.upstream_ready = [engine = p.engine.get()] { return engine->ready(); };
    options.engine_stats = [engine = p.engine.get()] { return engine->stats_json(); };
  }
  if (p.retrieval) options.stores = p.retrieval->stores();
  const std::string token = options.admin_token;
  p.gateway = std::make_unique<gateway::Gateway>(
      gateway::Gateway::Parts{.clock = p.clock,
                              .metrics = p.metrics,
                              .pool = p.pool,
                              .store = *p.store,
                              .ledger = p.ledger,
                              .tracer = p.tracer.get(),
                              .recorder = &p.recorder,
                              .pipeline = p.pipeline,
                              .agent = p.agent.api(),
                              .loops = p.loops,
                              .retrieval = p.retrieval ? &p.retrieval->stage() : nullptr,
                              .keep_alive = p.keep_alive.get()},
      std::move(options));
  p.recorder.configure({.file = p.settings.record_file, .max_bytes = p.settings.record_max_bytes});
  PAYONCE_CHECK_OK(p.gateway->start());
  if (p.engine) PAYONCE_CHECK_OK(p.start_engine());
  p.agent.start(p.gateway->port());
  const std::string path = admin_token_path(p.gateway->port());
  const bool kept =
      p.env.make_directories(path.substr(0, path.rfind('/'))) && base::write_file_atomic(p.env, path, token);
  if (kept)
    p.token_path = path;
  else
    base::log_warn("{} cannot be written; `payonce cache` needs PAYONCE_ADMIN_TOKEN to see all scopes", path);
  p.loops.start();  // last: who is answered finds the token
  return {};
}

const LocalEngine* Instance::engine() const { return parts_->engine.get(); }

std::string Instance::url() const { return url_of(parts_->settings, parts_->gateway->port()); }

void Instance::reload(const config::Settings& settings) {
  if (const auto waiting = config::need_restart(parts_->settings, settings); !waiting.empty())
    base::log_warn("changed, but only a restart takes it: {}", fmt::join(waiting, ", "));
  parts_->recorder.configure({.file = settings.record_file, .max_bytes = settings.record_max_bytes});
  parts_->pipeline.set_policy(make_policy(settings, parts_->salt, parts_->local, parts_->subscriptions));
}

void Instance::drain() {
  wait_for([this](std::function<void()> done) {
    parts_->gateway->drain(parts_->settings.drain_timeout_ms, std::move(done));
  });
}

}  // namespace payonce
