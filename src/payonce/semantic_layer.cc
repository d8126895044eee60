#include "payonce/semantic_layer.h"

#include <algorithm>
#include <string_view>

#include "base/log.h"
#include "semantic/verifier_judge.h"

namespace payonce {
namespace {

constexpr std::string_view kTrainedWith = "all-MiniLM-L6-v2";  // the verifier

pipeline::SemanticStage::Options semantic_options(const config::SemanticSettings& settings) {
  pipeline::SemanticStage::Options out;
  switch (settings.compare) {
    case config::SemanticCompare::kExact: out.compare = pipeline::Compare::kExact; break;
    case config::SemanticCompare::kNormalised: out.compare = pipeline::Compare::kNormalised; break;
    case config::SemanticCompare::kEmbedding: out.compare = pipeline::Compare::kEmbedding; break;
    case config::SemanticCompare::kJudge: out.compare = pipeline::Compare::kJudge; break;
  }
  out.equal_cosine = settings.equal_cosine;
  return out;
}

semantic::SemanticCache::Options cache_options(const config::Settings& settings, const embed::Embedder& embedder) {
  semantic::SemanticCache::Options out;
  out.policy = settings.semantic.policy == config::SemanticPolicy::kThreshold ? semantic::Policy::kThreshold
                                                                              : semantic::Policy::kBound;
  out.error_bound = settings.error_bound;
  out.threshold = settings.semantic.threshold;
  out.ask_again = settings.semantic.ask_again;
  out.memory_bytes = settings.semantic.max_memory_bytes;
  out.dimensions = embedder.dimensions();
  return out;
}

std::unique_ptr<semantic::QuestionLog> open_log(const std::string& directory, const embed::Embedder& embedder,
                                                const SemanticLayer::Surroundings& around) {
  if (directory.empty()) return nullptr;
  return std::make_unique<semantic::QuestionLog>(semantic::QuestionLog::Options{.path = directory + "/questions.log"},
                                                 embedder.identity(), around.env, around.pool);
}

// Null: none is wanted, or its URL is none, which the log says.
std::unique_ptr<semantic::AnswerJudge> make_answer_judge(const config::SemanticSettings& settings) {
  if (settings.compare != config::SemanticCompare::kJudge) return nullptr;
  auto made = semantic::AnswerJudge::make(
      {.url = settings.judge_url, .model = settings.judge_model, .key = settings.judge_key});
  if (made) return *std::move(made);
  base::log_warn("semantic.judge: {}; answers are compared by their embeddings", made.error().message);
  return nullptr;
}

}  // namespace

bool wants_semantic(const config::Settings& settings) {
  return std::ranges::find(settings.layers, "semantic") != settings.layers.end();
}

SemanticLayer::SemanticLayer(const config::Settings& settings, const std::string& directory,
                             embed::Embedder& embedder, Surroundings around)
    : judge_(semantic::make_judge(embedder.model() == kTrainedWith)),
      log_(open_log(directory, embedder, around)),
      cache_(cache_options(settings, embedder), *judge_, around.clock, log_.get()),
      stage_(semantic_options(settings.semantic), embedder, cache_, around.store, around.clock, around.metrics,
             make_answer_judge(settings.semantic)) {}

}  // namespace payonce
