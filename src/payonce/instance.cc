#include "payonce/instance.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "base/clock.h"
#include "base/env.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "cache/response_store.h"
#include "gateway/gateway.h"
#include "identity/profile.h"
#include "net/event_loop.h"
#include "pipeline/pipeline.h"
#include "record/ledger.h"
#include "record/trace.h"
#include "route/limits.h"

namespace payonce {
namespace {

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

pipeline::PolicyPtr make_policy(const config::Settings& settings, const std::string& salt) {
  static std::atomic<uint64_t> generations{0};
  auto policy = std::make_shared<pipeline::Policy>();
  policy->generation = ++generations;
  identity::Callers::Options callers{.salt = salt, .keys = {}};
  for (const config::KeySettings& key : settings.keys) {
    callers.keys.push_back({.name = key.name, .digest = digest_of_hex(key.sha256), .scopes = key.scopes});
    policy->limits[key.name] = key.limit;
  }
  policy->callers = identity::Callers(std::move(callers));
  policy->routes = route::Routes(settings.upstreams);
  policy->prices = llm::PriceTable::built_in();
  for (const auto& [model, price] : settings.prices) policy->prices.set(model, price);
  policy->ttl_s = settings.ttl_s;
  policy->limit = settings.default_limit;
  policy->retry = settings.retry;
  policy->exact = std::find(settings.layers.begin(), settings.layers.end(), "exact") != settings.layers.end();
  policy->cache_sampled = settings.cache_sampled;
  return policy;
}

struct Address {
  std::string host;
  uint16_t port = 0;
};

base::Result<Address> parse_listen(const std::string& text) {
  const size_t colon = text.rfind(':');
  Address out;
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), out.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size())
    return base::fail(base::Code::kInvalid,
                      fmt::format("listen: expected ADDRESS:PORT as in 127.0.0.1:4141, found '{}'", text));
  out.host = colon == 0 ? "0.0.0.0" : text.substr(0, colon);
  return out;
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
  explicit Parts(const config::Settings& given)
      : settings(given),
        directory(usable_directory(given.data_dir)),
        salt(load_salt(env, directory)),
        pool({.threads = 2}),
        store(cache::ResponseStore::open(store_options(), env, clock, pool, metrics)),
        ledger(directory, clock, metrics),
        loops(loop_count(given)),
        pipeline({.clock = clock,
                  .metrics = metrics,
                  .store = *store,
                  .ledger = ledger,
                  .limits = limits,
                  .profiles = identity::Profiles::built_in().value()},
                 make_policy(given, salt)) {}

  // A data directory that cannot be used costs the disk tier, not the service.
  std::string usable_directory(const std::string& path) {
    if (path.empty()) return path;
    if (const auto made = env.make_directories(path); !made) {
      base::log_warn("data directory {}: {}; running without a disk tier (choose another with --data)", path,
                     made.error().message);
      return "";
    }
    return path;
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
  const std::string directory;
  const std::string salt;
  base::WorkerPool pool;
  std::unique_ptr<cache::ResponseStore> store;
  record::Ledger ledger;
  route::Limits limits;
  net::EventLoops loops;
  std::unique_ptr<record::Tracer> tracer;
  pipeline::Pipeline pipeline;
  std::unique_ptr<gateway::Gateway> gateway;
  std::function<bool()> local_upstream_ready;
  std::string token_path;
};

Instance::Instance(const config::Settings& settings, std::function<bool()> local_upstream_ready)
    : parts_(std::make_unique<Parts>(settings)) {
  parts_->local_upstream_ready = std::move(local_upstream_ready);
}

Instance::~Instance() {
  parts_->loops.stop();
  parts_->pool.drain();
  if (!parts_->token_path.empty()) (void)parts_->env.remove(parts_->token_path);
  parts_->store->flush();
}

base::Status Instance::start() {
  Parts& p = *parts_;
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
  options.log_requests = p.settings.log_requests;
  options.replay_pace = p.settings.replay_pace;
  if (p.local_upstream_ready) options.upstream_ready = p.local_upstream_ready;
  const std::string token = options.admin_token;
  p.gateway = std::make_unique<gateway::Gateway>(gateway::Gateway::Parts{.clock = p.clock,
                                                                         .metrics = p.metrics,
                                                                         .pool = p.pool,
                                                                         .store = *p.store,
                                                                         .ledger = p.ledger,
                                                                         .tracer = p.tracer.get(),
                                                                         .pipeline = p.pipeline,
                                                                         .loops = p.loops},
                                                 std::move(options));
  PAYONCE_CHECK_OK(p.gateway->start());
  p.loops.start();
  const std::string path = admin_token_path(p.gateway->port());
  const bool kept =
      p.env.make_directories(path.substr(0, path.rfind('/'))) && base::write_file_atomic(p.env, path, token);
  if (kept)
    p.token_path = path;
  else
    base::log_warn("{} cannot be written; `payonce cache` needs PAYONCE_ADMIN_TOKEN to see all scopes", path);
  return {};
}

std::string Instance::url() const {
  const Parts& p = *parts_;
  const bool tls = !p.settings.tls_certificate_file.empty();
  std::string host = p.settings.listen.substr(0, p.settings.listen.rfind(':'));
  if (host.empty() || host == "0.0.0.0" || host == "[::]") host = "127.0.0.1";
  return fmt::format("{}://{}:{}", tls ? "https" : "http", host, p.gateway->port());
}

void Instance::reload(const config::Settings& settings) {
  parts_->pipeline.set_policy(make_policy(settings, parts_->salt));
}

void Instance::drain() {
  std::mutex mutex;
  std::condition_variable done;
  bool drained = false;
  parts_->gateway->drain(parts_->settings.drain_timeout_ms, [&] {
    const std::lock_guard lock(mutex);
    drained = true;
    done.notify_all();
  });
  std::unique_lock lock(mutex);
  done.wait(lock, [&] { return drained; });
}

}  // namespace payonce
