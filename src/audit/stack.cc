#include "audit/stack.h"

#include <array>
#include <utility>

#include "semantic/verifier_judge.h"

namespace payonce::audit {
namespace {

constexpr std::string_view kVerifierTrainedWith = "all-MiniLM-L6-v2";

struct Alias {
  std::string_view logged, id, for_models;  // of `for_models` only; empty: of any
};
// As LiteLLM, Langfuse and OpenTelemetry's gen_ai.provider.name spell them.
constexpr std::array kAliases = {Alias{"bedrock", "bedrock_nova", "*nova*"},
                                 Alias{"bedrock", "bedrock_claude", ""},
                                 Alias{"aws.bedrock", "bedrock_claude", ""},
                                 Alias{"vertex_ai", "vertex_claude", "*claude*"},
                                 Alias{"gcp.vertex_ai", "vertex_claude", "*claude*"},
                                 Alias{"vertex_ai", "gemini", ""},
                                 Alias{"gcp.vertex_ai", "gemini", ""},
                                 Alias{"gcp.gemini", "gemini", ""},
                                 Alias{"google", "gemini", ""},
                                 Alias{"azure", "azure_openai_gpt56plus", "gpt-5.6*"},
                                 Alias{"azure", "azure_openai", ""},
                                 Alias{"azure.ai.openai", "azure_openai", ""},
                                 Alias{"x_ai", "xai", ""},
                                 Alias{"mistral_ai", "mistral", ""},
                                 Alias{"together_ai", "together", ""},
                                 Alias{"fireworks_ai", "fireworks", ""},
                                 Alias{"hosted_vllm", "vllm", ""},
                                 Alias{"dashscope", "qwen_implicit", ""},
                                 Alias{"llama.cpp", "llamacpp", ""},
                                 Alias{"zhipu", "zai", ""}};

route::UpstreamPtr upstream(const std::string& name, const std::set<std::string>& models, const Options& options) {
  auto out = std::make_shared<route::Upstream>();
  out->name = name.empty() ? "log" : name;
  out->identity = out->name;
  out->base_url = "http://localhost/v1";
  out->anthropic_base_url = "http://localhost";
  out->provider =
      !options.provider.empty() ? options.provider : provider_id(name, models.empty() ? "" : *models.begin());
  out->models.assign(models.begin(), models.end());
  return out;
}

pipeline::PolicyPtr policy_of(const Options& options, const ModelsOf& models, bool semantic) {
  auto out = std::make_shared<pipeline::Policy>();
  out->generation = 1;
  out->callers = identity::Callers({.salt = std::string(32, 'a'), .keys = {}});
  std::vector<route::UpstreamPtr> upstreams;
  for (const auto& [provider, names] : models) upstreams.push_back(upstream(provider, names, options));
  out->routes = route::Routes(std::move(upstreams));
  out->prices = options.prices;
  out->ttl_s = options.ttl_s;
  out->exact = options.exact;
  out->semantic = semantic;
  out->cache_sampled = options.cache_sampled;
  out->prefix.mode = options.prefix;
  out->prefix.move = options.move;
  return out;
}

}  // namespace

std::string provider_id(std::string_view logged, std::string_view model) {
  const auto& table = prompt_cache::Providers::built_in();
  if (table.find(logged) != nullptr) return std::string(logged);
  for (const Alias& alias : kAliases)
    if (alias.logged == logged && (alias.for_models.empty() || prompt_cache::matches(alias.for_models, model)))
      return std::string(alias.id);
  return "";
}

Stack::Stack(const Options& options, const ModelsOf& models, InlineEmbedder* embedder)
    : pool_({.threads = 1}),
      store_(cache::ResponseStore::open({.memory_bytes = options.memory_bytes}, env_, clock_, pool_, metrics_)),
      ledger_("", clock_, metrics_) {
  if (embedder != nullptr && options.semantic) {
    judge_ = semantic::make_judge(embedder->model() == kVerifierTrainedWith);
    semantic_ = std::make_unique<semantic::SemanticCache>(
        semantic::SemanticCache::Options{
            .error_bound = options.error_bound, .dimensions = embedder->dimensions(), .seed = 1},
        *judge_, clock_);
    semantic_stage_ = std::make_unique<pipeline::SemanticStage>(pipeline::SemanticStage::Options{}, *embedder,
                                                                *semantic_, *store_, clock_, metrics_);
  }
  if (options.prefix != route::PrefixMode::kOff)
    prefix_ = std::make_unique<pipeline::PrefixStage>(
        pipeline::PrefixStage::Parts{.clock = clock_,
                                     .metrics = metrics_,
                                     .post = [](const std::function<void()>&) { return false; }},  // no live watch
        prefix::Optimizer::Options{.seed = "audit"});
  pipeline_ = std::make_unique<pipeline::Pipeline>(
      pipeline::Pipeline::Parts{.clock = clock_,
                                .metrics = metrics_,
                                .store = *store_,
                                .ledger = ledger_,
                                .limits = limits_,
                                .profiles = identity::Profiles::built_in().value(),
                                .semantic = semantic_stage_.get(),
                                .prefix = prefix_.get()},
      policy_of(options, models, semantic_stage_ != nullptr));
}
Stack::~Stack() = default;

}  // namespace payonce::audit
