// Which upstreams may serve a model, in order of preference.  Threads: read-only once built.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "llm/dialect.h"
#include "route/breaker.h"

namespace payonce::net {
class LocalService;  // carried for the gateway; route itself calls nothing of it
}

namespace payonce::kv_events {
class Subscriber;  // carried for the pipeline, the same
}

namespace payonce::route {

enum class UpstreamKind : uint8_t { kOpenAi, kAnthropic };

// What the prefix layer may do to an upstream's requests.
enum class PrefixMode : uint8_t { kDefault, kOff, kObserve, kSafe, kAggressive };
inline constexpr std::array<std::pair<std::string_view, PrefixMode>, 5> kPrefixModes{
    {{"default", PrefixMode::kDefault},
     {"off", PrefixMode::kOff},
     {"observe", PrefixMode::kObserve},
     {"safe", PrefixMode::kSafe},
     {"aggressive", PrefixMode::kAggressive}}};

// What is done with calls that summarise a conversation.
enum class CompactionMode : uint8_t { kOff, kCache, kRewrite };  // each with what stands before it
inline constexpr std::array<std::pair<std::string_view, CompactionMode>, 3> kCompactionModes{
    {{"off", CompactionMode::kOff}, {"cache", CompactionMode::kCache}, {"rewrite", CompactionMode::kRewrite}}};

// Whose paths and headers an endpoint uses.
UpstreamKind wire_of(llm::Dialect dialect);

struct Upstream {
  std::string name;      // in configuration, logs, metrics
  std::string identity;  // part of every key: what makes its answers its own (base URL; a local model: file and size)
  UpstreamKind kind = UpstreamKind::kOpenAi;
  std::string base_url;             // OpenAI paths: ends in /v1 as the SDKs have it
  std::string anthropic_base_url;   // Anthropic paths: without /v1
  std::string key;                  // sent instead of the caller's credential; empty: none of its own
  bool forward_credential = true;   // the caller's goes upstream when there is no key
  std::vector<std::string> models;  // names or patterns with '*'; empty: any
  int64_t connect_timeout_ms = 10'000;
  int64_t first_byte_timeout_ms = 600'000;
  int64_t idle_timeout_ms = 300'000;
  std::string provider;     // whose prompt cache it has, by id; empty: by host and model
  double price_factor = 1;  // its prices, as a multiple of the model's in the table
  PrefixMode prefix_mode = PrefixMode::kDefault;
  std::string kv_events, kv_events_replay;  // where its engine publishes what its cache holds; empty: nowhere
  std::shared_ptr<const kv_events::Subscriber> cache_events;  // what came from there; null: nobody listens
  bool http2 = false;  // h2c by prior knowledge on http://; on https:// ALPN decides
  bool verify_tls = true;
  std::string ca_file;
  net::LocalService* local = nullptr;  // serves it inside the process: no URL, no timeouts; outlives every request
  std::shared_ptr<Breaker> breaker = std::make_shared<Breaker>();
};
using UpstreamPtr = std::shared_ptr<const Upstream>;

class Routes {
 public:
  Routes() = default;
  explicit Routes(std::vector<UpstreamPtr> upstreams) : upstreams_(std::move(upstreams)) {}

  // Candidates in the order of the configuration: those of the wire's own kind before others, and of these the ones
  // that name the model most exactly (name, pattern, any). More than one: the later ones are for failover. An empty
  // model (GET /v1/models, unknown paths): the first upstream of that kind. kNotFound when nothing serves it.
  base::Result<std::vector<UpstreamPtr>> choose(std::string_view model, UpstreamKind wire) const;
  const std::vector<UpstreamPtr>& all() const { return upstreams_; }

 private:
  std::vector<UpstreamPtr> upstreams_;
};

// "gpt-*", "*", "claude-*-haiku": '*' stands for any run of characters.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace payonce::route
