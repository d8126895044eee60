#include "payonce/local_engine.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "base/hash.h"
#include "base/log.h"
#include "llm/dialect.h"
#include "llm/error_body.h"

namespace payonce {
namespace {

constexpr int kServiceUnavailable = 503;
constexpr std::string_view kRetryAfter_s = "1";

// An answer that is there already; it comes in a later turn of the loop, as every other.
class Canned final : public net::Call {
 public:
  static std::shared_ptr<net::Call> send(net::ResponseHead head, std::string body, net::EventLoop& loop,
                                         std::shared_ptr<net::ResponseSink> sink) {
    auto call = std::make_shared<Canned>();
    loop.post([call, head = std::move(head), body = std::move(body), sink = std::move(sink)]() mutable {
      if (!call->cancelled_) sink->on_head(std::move(head));
      if (!call->cancelled_) sink->on_data(base::Bytes(std::move(body)));
      if (!call->cancelled_) sink->on_end();
    });
    return call;
  }
  void cancel() override { cancelled_ = true; }
  void pause() override {}
  void resume() override {}

 private:
  bool cancelled_ = false;
};

}  // namespace

LocalEngine::LocalEngine(const config::Settings& settings, std::string kv_directory, EngineParts::Surroundings around,
                         Hooks hooks)
    : settings_(settings), kv_directory_(std::move(kv_directory)), around_(around), hooks_(std::move(hooks)) {}

LocalEngine::~LocalEngine() { join(); }

void LocalEngine::join() {
  if (loader_.joinable()) loader_.join();
}

base::Status LocalEngine::start() {
  PAYONCE_TRY(probe_, EngineParts::probe(settings_));
  const config::EngineSettings& engine = settings_.engine;
  identity_ = "local:" + probe_.info.digest;
  // These change what is answered, too.
  if (engine.kv_type != "f16") identity_ += ":" + engine.kv_type;
  if (!engine.chat_template_file.empty()) {
    PAYONCE_TRY(const std::string source, base::read_file(around_.env, engine.chat_template_file));
    identity_ += ":template=" + base::hex(base::sha256(source)).substr(0, 16);
  }
  if (embeddings_)
    identity_ += ":embedder=" + base::hex(base::sha256(embeddings_->embedder().identity())).substr(0, 16);
  loader_ = std::thread([this] { load(); });
  return {};
}

void LocalEngine::load() {
  const int64_t started_us = around_.clock.monotonic_us();
  auto made = EngineParts::make(settings_, probe_, kv_directory_, around_);
  if (!made) {
    {
      const std::lock_guard lock(mutex_);
      failure_ = std::move(made.error());
    }
    if (hooks_.failed) hooks_.failed();
    return;
  }
  parts_ = *std::move(made);
  serving_ = parts_.get();
  base::log_info("{} is ready in {} ms", probe_.info.name, (around_.clock.monotonic_us() - started_us) / 1000);
  if (hooks_.ready) hooks_.ready();
}

std::optional<base::Error> LocalEngine::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

std::string LocalEngine::stats_json() const {
  namespace json = boost::json;
  const EngineParts* parts = serving_.load();
  const engine::EngineStats stats = parts != nullptr ? parts->engine().stats() : engine::EngineStats{};
  json::object out{
      {"model", probe_.info.name},
      {"ready", parts != nullptr},
      {"blocks",
       json::object{{"free", stats.blocks_free}, {"used", stats.blocks_used}, {"cached", stats.blocks_cached}}},
      {"running", stats.running},
      {"waiting", stats.waiting},
      {"prompt_tokens", stats.prompt_tokens},
      {"hit_tokens", stats.hit_tokens},
      {"computed_tokens", stats.computed_tokens},
      {"evictions", stats.evictions},
      {"preemptions", stats.preemptions}};
  if (probe_.sliding_block_bytes > 0)
    out["sliding_blocks"] =
        json::object{{"free", stats.sliding_free}, {"used", stats.sliding_used}, {"cached", stats.sliding_cached}};
  return json::serialize(out);
}

std::shared_ptr<net::Call> LocalEngine::send(net::RequestHead head, base::Bytes body, std::string tenant,
                                             net::EventLoop& loop, std::shared_ptr<net::ResponseSink> sink) {
  if (embeddings_ && head.path() == embed::kEmbeddingsPath)
    return embeddings_->serve(head, std::move(body), loop, std::move(sink));
  if (EngineParts* parts = serving_.load())
    return parts->api().serve(std::move(head), std::move(body), std::move(tenant), loop, std::move(sink));
  net::ResponseHead answer{.status = kServiceUnavailable};
  answer.headers.add("Content-Type", "application/json");
  answer.headers.add("Retry-After", kRetryAfter_s);
  const llm::Dialect dialect = llm::classify(head.method, head.path());
  std::string text = llm::error_body(dialect, kServiceUnavailable,
                                     fmt::format("{} is loading; /readyz says when it is ready", model_name()));
  return Canned::send(std::move(answer), std::move(text), loop, std::move(sink));
}

}  // namespace payonce
