#include "payonce/agent_layer.h"

#include <utility>

#include "base/log.h"

namespace payonce {
namespace {

constexpr size_t kPoolThreads = 2;

}  // namespace

AgentLayer::AgentLayer(const config::Settings& settings, Surroundings around)
    : around_(around),
      socket_setting_(settings.agent.socket),
      pool_({.threads = kPoolThreads, .waited_for = true}),
      meaning_(around.pipeline.semantic() ? std::make_unique<agent::Meaning>(*around.pipeline.semantic()) : nullptr),
      cache_({.ttl_s = settings.agent.ttl_s, .memory_bytes = settings.agent.max_memory_bytes},
             {.clock = around.clock,
              .metrics = around.metrics,
              .store = around.store,
              .ledger = &around.ledger,
              .price_usd =
                  [around](const std::string& model, const llm::Usage& usage) {
                    return around.pipeline.policy()->prices.cost_usd(model, usage, around.clock.unix_ms());
                  },
              .meaning = meaning_.get()}),
      api_({.cache = cache_, .clock = around.clock, .pool = pool_, .identify = [around](const net::Headers& headers) {
              return around.pipeline.policy()->callers.identify(headers);
            }}) {}

AgentLayer::~AgentLayer() {
  socket_.reset();
  pool_.drain();
}

void AgentLayer::start(uint16_t port) {
  around_.store.when_scanned([this] {
    if (!pool_.post([this] { cache_.recall(); })) cache_.recall();
  });
  if (socket_setting_ == "off") return;
  socket_ = std::make_unique<agent::SocketServer>(
      socket_setting_ == "auto" ? agent::default_socket_path(port) : socket_setting_, api_, around_.loops);
  if (const auto started = socket_->start(); !started) {
    base::log_warn("{}; the agent API is served over HTTP alone", started.error().message);
    socket_.reset();
  }
}

}  // namespace payonce
