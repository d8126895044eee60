#include "engine/api/api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>
#include <vector>

#include "base/hash.h"
#include "engine/api/api_call.h"
#include "engine/api/errors.h"
#include "engine/api/models.h"
#include "engine/api/requests.h"
#include "llm/request.h"

namespace payonce::engine {
namespace {
namespace json = boost::json;
using llm::Dialect;

constexpr std::string_view kModels = "/v1/models";
constexpr std::array<std::string_view, 6> kPostPaths = {"/v1/chat/completions", "/v1/completions",
                                                        "/v1/messages",         "/v1/messages/count_tokens",
                                                        "/v1/responses",        "/v1/embeddings"};

// The endpoint that a request names; Gemini's are none of the engine's.
Dialect endpoint_of(std::string_view method, std::string_view path) {
  const Dialect known = llm::classify(method, path);
  return known == Dialect::kGemini ? Dialect::kOther : known;
}

// Paths that both vendors have, and those that nobody has, are answered in the shape of the SDK that asks.
Dialect dialect_of(const net::RequestHead& head, std::string_view path) {
  const Dialect known = endpoint_of("POST", path);
  if (known != Dialect::kOther) return known;
  const bool anthropic = path.starts_with("/v1/messages") || head.headers.get("anthropic-version");
  return anthropic ? Dialect::kAnthropicMessages : Dialect::kOther;
}

base::Error not_found(std::string_view method, std::string_view path) {
  if (path == "/v1/embeddings")
    return {base::Code::kNotFound,
            "no embeddings here: no embedder was found (./dev run makes one), or "
            "semantic.embedder is none"};
  return {base::Code::kNotFound, fmt::format("no {} {} here: served are /v1/chat/completions, /v1/completions, "
                                             "/v1/responses, /v1/messages, /v1/messages/count_tokens and /v1/models",
                                             method, path)};
}

}  // namespace

struct Api::State : std::enable_shared_from_this<Api::State> {
  State(Parts the_parts, ApiLimits the_limits, int32_t the_context)
      : parts(std::move(the_parts)),
        limits(the_limits),
        context_tokens(the_context),
        started_s(parts.clock.unix_s()) {}

  std::shared_ptr<ApiCall> make_call(Dialect dialect, net::EventLoop& loop, std::shared_ptr<net::ResponseSink> sink);
  Answer answer_get(const net::RequestHead& head, std::string_view path, Dialect dialect) const;
  void read(ApiCall& call, Dialect dialect, const base::Bytes& body, const std::string& tenant, int64_t arrived_us);
  base::Result<json::object> parse(Dialect dialect, const base::Bytes& body) const;
  void job_ended();
  void for_each_call(const std::function<void(ApiCall&)>& visit);

  const Parts parts;
  const ApiLimits limits;
  const int32_t context_tokens;
  const int64_t started_s;

  std::mutex mutex;
  std::condition_variable idle;
  size_t jobs = 0;                                                                       // guarded by mutex
  bool closed = false;                                                                   // guarded by mutex
  std::set<std::weak_ptr<ApiCall>, std::owner_less<std::weak_ptr<ApiCall>>> live_calls;  // guarded by mutex
};

std::shared_ptr<ApiCall> Api::State::make_call(Dialect dialect, net::EventLoop& loop,
                                               std::shared_ptr<net::ResponseSink> sink) {
  // The call learns how to take itself off the list once it is on it.
  const auto slot = std::make_shared<std::weak_ptr<ApiCall>>();
  auto call = std::make_shared<ApiCall>(std::shared_ptr<const EnginePort>(shared_from_this(), &parts.engine), dialect,
                                        loop, std::move(sink), [self = weak_from_this(), slot] {
                                          const auto state = self.lock();
                                          if (!state) return;
                                          const std::lock_guard lock(state->mutex);
                                          state->live_calls.erase(*slot);
                                        });
  *slot = call;
  const std::lock_guard lock(mutex);
  live_calls.insert(call);
  return call;
}

void Api::State::for_each_call(const std::function<void(ApiCall&)>& visit) {
  std::vector<std::shared_ptr<ApiCall>> calls;
  {
    const std::lock_guard lock(mutex);
    for (const auto& weak : live_calls)
      if (auto call = weak.lock()) calls.push_back(std::move(call));
  }
  for (const auto& call : calls) visit(*call);
}

Answer Api::State::answer_get(const net::RequestHead& head, std::string_view path, Dialect dialect) const {
  const bool models = path == kModels || path.starts_with(fmt::format("{}/", kModels));
  const bool known = models || std::find(kPostPaths.begin(), kPostPaths.end(), path) != kPostPaths.end();
  if (models && head.method == "GET") {
    if (path == kModels) return json_answer(dialect, models_json(parts.model, started_s, context_tokens));
    const std::string id = percent_decoded(path.substr(kModels.size() + 1));
    if (id == parts.model.name) return json_answer(dialect, model_json(parts.model, started_s, context_tokens));
    return error_answer(dialect,
                        {base::Code::kNotFound, fmt::format("no model '{}' here: loaded is '{}', which answers "
                                                            "requests under any name",
                                                            id, parts.model.name)});
  }
  if (!known || path == "/v1/embeddings") return error_answer(dialect, not_found(head.method, path));
  const std::string_view allowed = models ? "GET" : "POST";
  Answer refused = error_answer(
      dialect, 405,
      {base::Code::kInvalid, fmt::format("{} is not allowed on {}: use {}", head.method, path, allowed)});
  refused.head.headers.add("Allow", allowed);
  return refused;
}

base::Result<json::object> Api::State::parse(Dialect dialect, const base::Bytes& body) const {
  PAYONCE_TRY(const llm::Request checked, llm::parse_request(dialect, body));
  (void)checked;
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = llm::kMaxJsonDepth + 1;
  json::value value = json::parse(body.view(), error, {}, options);
  if (error || !value.is_object())
    return base::fail(base::Code::kInvalid,
                      fmt::format("the body is no JSON object that can be read: {}", error.message()));
  return std::move(value.get_object());
}

void Api::State::read(ApiCall& call, Dialect dialect, const base::Bytes& body, const std::string& tenant,
                      int64_t arrived_us) {
  if (call.cancelled()) return;
  auto parsed = parse(dialect, body);
  if (!parsed) return call.fail(parsed.error());
  RequestContext context{
      .vocab = parts.vocab, .chat = parts.chat, .limits = limits, .context_tokens = context_tokens};
  const json::value* model = parsed->if_contains("model");
  if (model != nullptr && !model->is_null() && !model->is_string())
    return call.fail({base::Code::kInvalid, "'model' must be a string"});
  context.identity = {
      .created_s = parts.clock.unix_s(),
      .model = model != nullptr && model->is_string() ? std::string(model->get_string()) : parts.model.name,
      .fingerprint = "fp_" + parts.model.digest.substr(0, 10)};
  if (dialect == Dialect::kAnthropicCountTokens) {
    auto counted = count_tokens(context, *parsed);
    return counted ? call.answer(json_answer(dialect, *std::move(counted))) : call.fail(counted.error());
  }
  auto prepared = dialect == Dialect::kOpenAiChat          ? read_chat(context, *parsed)
                  : dialect == Dialect::kOpenAiCompletions ? read_completions(context, *parsed)
                  : dialect == Dialect::kAnthropicMessages ? read_messages(context, *parsed)
                                                           : read_responses(context, *parsed);
  if (!prepared) return call.fail(prepared.error());
  for (Generate& request : prepared->generates) {
    request.tenant = tenant;
    request.deadline_ms = arrived_us / 1000 + limits.request_timeout_ms;
  }
  call.start(*std::move(prepared));
}

void Api::State::job_ended() {
  const std::lock_guard lock(mutex);
  if (--jobs == 0) idle.notify_all();
}

Api::Api(Parts parts, ApiLimits limits, int32_t context_tokens)
    : state_(std::make_shared<State>(std::move(parts), limits, context_tokens)) {}

Api::~Api() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
  }
  state_->for_each_call([](ApiCall& call) { call.detach(); });
  std::unique_lock lock(state_->mutex);
  state_->idle.wait(lock, [this] { return state_->jobs == 0; });
}

void Api::close() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closed = true;
  }
  state_->for_each_call([](ApiCall& call) { call.fail({base::Code::kUnavailable, "the engine is shutting down"}); });
}

std::shared_ptr<net::Call> Api::serve(net::RequestHead head, base::Bytes body, std::string tenant,
                                      net::EventLoop& loop, std::shared_ptr<net::ResponseSink> sink) {
  const std::string path = head.path();
  const Dialect dialect = dialect_of(head, path);
  auto call = state_->make_call(dialect, loop, std::move(sink));
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->closed) ++state_->jobs;
    if (state_->closed) {
      call->fail({base::Code::kUnavailable, "the engine is shutting down"});
      return call;
    }
  }
  if (head.method != "POST" || endpoint_of(head.method, path) == Dialect::kOther || path == "/v1/embeddings") {
    call->answer(state_->answer_get(head, path, dialect));
    state_->job_ended();
    return call;
  }
  const bool posted =
      state_->parts.pool.post([state = state_, call, dialect, body = std::move(body), tenant = std::move(tenant),
                               arrived_us = state_->parts.clock.monotonic_us()] {
        state->read(*call, dialect, body, tenant, arrived_us);
        state->job_ended();
      });
  if (!posted) {
    call->fail({base::Code::kExhausted, "too many requests are waiting to be read; try again"});
    state_->job_ended();
  }
  return call;
}

std::string tenant_of(const net::Headers& headers) {
  constexpr std::string_view kBearer = "bearer ";
  std::vector<std::string_view> keys;  // by the name of their field, none twice
  for (const std::string_view field : {"authorization", "x-api-key", "api-key", "x-goog-api-key"})
    headers.for_each([&](std::string_view name, std::string_view value) {
      if (!net::equals_ignoring_case(name, field)) return;
      if (value.size() > kBearer.size() && net::equals_ignoring_case(value.substr(0, kBearer.size()), kBearer))
        value.remove_prefix(kBearer.size());
      if (!value.empty() && std::ranges::find(keys, value) == keys.end()) keys.push_back(value);
    });
  if (keys.empty()) return "anonymous";
  std::string text(keys.front());
  for (size_t i = 1; i < keys.size(); ++i) text = fmt::format("{}:{}{}", text.size(), text, keys[i]);
  return base::hex(base::sha256(text));
}

}  // namespace payonce::engine
