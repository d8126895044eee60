#include "payonce/engine_server.h"

#include <fmt/format.h>

#include <atomic>
#include <utility>

#include "dashboard/guard.h"
#include "embed/api/embeddings_api.h"
#include "gateway/local_answer.h"
#include "identity/scope.h"
#include "llm/dialect.h"
#include "llm/error_body.h"
#include "net/server.h"
#include "payonce/address.h"
#include "payonce/data_directory.h"
#include "payonce/make_embedder.h"
#include "payonce/run.h"

namespace payonce {
namespace {

// Heads and bodies only: the computing is the engine's.
constexpr size_t kLoops = 2;

// A disk tier only where the user named a place for it.
std::string kv_directory(const config::Settings& settings) {
  return settings.data_dir_given && settings.engine.kv_disk_bytes > 0 ? settings.data_dir + "/kv" : "";
}

std::string about(const std::string& model) {
  return fmt::format(
      "Payonce inference engine: {}\n\n"
      "POST /v1/chat/completions  /v1/completions  /v1/responses  /v1/messages  /v1/messages/count_tokens  "
      "/v1/embeddings\n"
      "GET  /v1/models  /healthz  /readyz  /metrics  /payonce/v1/stats\n",
      model);
}

void reply(net::Exchange& exchange, int status, std::string_view type, std::string body) {
  net::ResponseHead head{.status = status};
  head.headers.add("Content-Type", type);
  head.headers.add("Cache-Control", "no-store");
  exchange.respond(std::move(head), base::Bytes(std::move(body)));
}

}  // namespace

// In the order of construction; destroyed in reverse, after the loops have stopped.
struct EngineServer::Parts {
  Parts(const config::Settings& given, LocalEngine::Hooks hooks)
      : settings(given),
        loops(kLoops),
        data_status(kv_directory(given).empty() ? base::Status() : data.open(given.data_dir, given.protection)),
        engine(given, data_status ? kv_directory(given) : "",
               {.clock = clock, .metrics = metrics, .env = env, .data = data.files()}, std::move(hooks)) {}

  void handle(std::shared_ptr<net::Exchange> exchange) {
    constexpr std::string_view kText = "text/plain; charset=utf-8";
    const std::string path = exchange->head().path();
    const std::string& method = exchange->head().method;
    const bool look = method == "GET" || method == "HEAD";
    // Whoever has no credential shares one tenant, and computes for nothing: no page of another site does.
    const bool anonymous = identity::credential_of(exchange->head().headers).empty();
    if (anonymous && guard->is_foreign_page(exchange->head()))
      return reply(*exchange, 403, "application/json",
                   llm::error_body(llm::classify(method, path), 403,
                                   "a page of another site asks, without a credential: send one, or name that site's "
                                   "host, and the one that this engine is asked by, in `hosts`"));
    if (path == "/healthz" && look) return reply(*exchange, 200, kText, "ok\n");
    if (path == "/readyz" && look) {
      const bool ready = engine.ready() && !draining;
      return reply(*exchange, ready ? 200 : 503, kText,
                   ready      ? "ready\n"
                   : draining ? "not ready: ending\n"
                              : "not ready: the model is loading\n");
    }
    const bool sums = (path == "/metrics" || path == "/payonce/v1/stats") && look;
    if (sums && !may_read_sums(*exchange))
      return reply(*exchange, 403, kText,
                   "sums of all tenants are told on this machine alone, where the engine listens on loopback; "
                   "admin.metrics = \"all\" opens them\n");
    if (path == "/metrics" && look)
      return reply(*exchange, 200, "text/plain; version=0.0.4; charset=utf-8", metrics.exposition());
    if (path == "/payonce/v1/stats" && look)
      return reply(*exchange, 200, "application/json", fmt::format("{{\"engine\":{}}}", engine.stats_json()));
    if (path == "/" && look) return reply(*exchange, 200, kText, about(engine.model_name()));
    std::string tenant = engine::tenant_of(exchange->head().headers);
    gateway::answer_locally(std::move(exchange), engine, std::move(tenant));
  }

  bool may_read_sums(const net::Exchange& exchange) const {
    return settings.admin_metrics == config::MetricsAccess::kAll ||
           (settings.admin_metrics == config::MetricsAccess::kLocal &&
            guard->is_local(exchange.head(), exchange.remote_address()));
  }

  const config::Settings settings;
  base::PosixEnv env;
  base::SystemClock clock;
  base::Metrics metrics;
  net::EventLoops loops;
  std::unique_ptr<embed::Embedder> embedder;                  // null: none
  base::WorkerPool pool{{.threads = 1, .waited_for = true}};  // reads bodies for it; ends before it
  std::unique_ptr<embed::EmbeddingsApi> embeddings;           // null: without an embedder
  DataDirectory data{env, metrics};
  const base::Status data_status;  // why the data directory is not opened
  LocalEngine engine;
  std::unique_ptr<dashboard::Guard> guard;  // made in start()
  std::unique_ptr<net::Server> server;
  std::atomic<bool> draining{false};
};

EngineServer::EngineServer(const config::Settings& settings, LocalEngine::Hooks hooks)
    : parts_(std::make_unique<Parts>(settings, std::move(hooks))) {}

EngineServer::~EngineServer() { parts_->loops.stop(); }

base::Status EngineServer::start() {
  Parts& p = *parts_;
  PAYONCE_CHECK_OK(p.data_status);
  PAYONCE_TRY(const Address address, parse_listen(p.settings.listen));
  p.guard = std::make_unique<dashboard::Guard>(
      dashboard::Guard::Options{.on_loopback = dashboard::is_loopback(address.host), .hosts = p.settings.hosts});
  net::Server::Options options;
  options.address = address.host;
  options.port = address.port;
  options.limits.max_body_bytes = p.settings.max_body_bytes;
  options.limits.max_connections = static_cast<size_t>(p.settings.max_connections);
  options.connections = p.metrics.gauge("payonce_connections", {{"side", "client"}});
  options.error = [](int status, std::string_view message, std::string_view target) {
    const std::string_view path = target.substr(0, target.find('?'));
    return base::Bytes(llm::error_body(llm::classify("POST", path), status, message));
  };
  p.server = std::make_unique<net::Server>(
      p.loops, std::move(options), [&p](std::shared_ptr<net::Exchange> exchange) { p.handle(std::move(exchange)); });
  PAYONCE_CHECK_OK(p.server->start());
  PAYONCE_TRY(p.embedder, make_embedder(p.settings, p.metrics));
  if (p.embedder) p.embeddings = std::make_unique<embed::EmbeddingsApi>(*p.embedder, p.pool);
  p.engine.serve_embeddings(p.embeddings.get());
  PAYONCE_CHECK_OK(p.engine.start());
  p.loops.start();
  return {};
}

std::string EngineServer::url() const { return url_of(parts_->settings, parts_->server->port()); }

const LocalEngine& EngineServer::engine() const { return parts_->engine; }

void EngineServer::drain() {
  parts_->draining = true;
  wait_for([this](std::function<void()> done) {
    parts_->server->drain(parts_->settings.drain_timeout_ms, std::move(done));
  });
}

}  // namespace payonce
