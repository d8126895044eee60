#include "payonce/retrieval_layer.h"

#include "semantic/verifier_judge.h"

namespace payonce {
namespace {

retrieval::StoreKind kind_of(config::VectorStoreKind kind) {
  switch (kind) {
    case config::VectorStoreKind::kQdrant: return retrieval::StoreKind::kQdrant;
    case config::VectorStoreKind::kChroma: return retrieval::StoreKind::kChroma;
    case config::VectorStoreKind::kHttp: return retrieval::StoreKind::kHttp;
    case config::VectorStoreKind::kPostgres: return retrieval::StoreKind::kPostgres;
  }
  return retrieval::StoreKind::kHttp;
}

retrieval::RetrievalStage::Options stage_options(const config::RetrievalSettings& settings) {
  return {.memory_bytes = settings.max_memory_bytes,
          .paraphrase = settings.paraphrase,
          .seed = settings.seed,
          .recall_bound = settings.recall_bound,
          .shadow = settings.shadow};
}

std::vector<gateway::VectorStore> stores_of(const config::RetrievalSettings& settings) {
  std::vector<gateway::VectorStore> out;
  for (const config::VectorStoreSettings& store : settings.stores)
    out.push_back({.rules = {.name = store.name,
                             .kind = kind_of(store.kind),
                             .read = store.read,
                             .write = store.write,
                             .query_path = store.query_path,
                             .one_epoch = store.one_epoch,
                             .settle_ms = store.settle_ms,
                             .ttl_s = store.ttl_s},
                   .prefix = store.prefix,
                   .upstream = store.upstream});
  return out;
}

}  // namespace

bool wants_paraphrases(const config::Settings& settings) {
  return settings.retrieval.paraphrase && !settings.retrieval.stores.empty();
}

RetrievalLayer::RetrievalLayer(const config::Settings& settings, embed::Embedder* embedder, const base::Clock& clock,
                               base::Metrics& metrics)
    : judge_(embedder != nullptr ? semantic::make_judge() : nullptr),
      stage_(stage_options(settings.retrieval), embedder, judge_.get(), clock, metrics),
      stores_(stores_of(settings.retrieval)) {}

}  // namespace payonce
