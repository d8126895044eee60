#include "payonce/retrieval_layer.h"

#include <utility>

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

retrieval::RetrievalStage::Options retrieval_options(const config::RetrievalSettings& settings) {
  return {.memory_bytes = settings.max_memory_bytes,
          .paraphrase = settings.paraphrase,
          .seed = settings.seed,
          .recall_bound = settings.recall_bound,
          .shadow = settings.shadow};
}

gateway::VectorStore store_of(const config::VectorStoreSettings& store) {
  return {.rules = {.name = store.name,
                    .kind = kind_of(store.kind),
                    .read = store.read,
                    .write = store.write,
                    .query_path = store.query_path,
                    .one_epoch = store.one_epoch,
                    .settle_ms = store.settle_ms,
                    .ttl_s = store.ttl_s},
          .prefix = store.prefix,
          .upstream = store.upstream};
}

std::unique_ptr<retrieval::SearchService> service_of(const config::VectorStoreSettings& store,
                                                     embed::Embedder* embedder) {
  retrieval::SearchService::Options options;
  options.pool = {.connection = store.upstream->anthropic_base_url,
                  .password = store.upstream->key,
                  .connect_timeout_ms = store.upstream->connect_timeout_ms,
                  .statement_timeout_ms = store.upstream->first_byte_timeout_ms};
  options.connections = static_cast<size_t>(store.connections);
  options.vector_column = store.vector_column;
  options.distance = store.distance == "l2"   ? retrieval::Distance::kL2
                     : store.distance == "ip" ? retrieval::Distance::kInnerProduct
                                              : retrieval::Distance::kCosine;
  return std::make_unique<retrieval::SearchService>(std::move(options), embedder);
}

}  // namespace

bool wants_paraphrases(const config::Settings& settings) {
  return settings.retrieval.paraphrase && !settings.retrieval.stores.empty();
}

RetrievalLayer::RetrievalLayer(const config::Settings& settings, embed::Embedder* embedder, const base::Clock& clock,
                               base::Metrics& metrics)
    : judge_(embedder != nullptr ? semantic::make_judge() : nullptr),
      stage_(retrieval_options(settings.retrieval), embedder, judge_.get(), clock, metrics) {
  for (const config::VectorStoreSettings& store : settings.retrieval.stores) {
    stores_.push_back(store_of(store));
    if (store.kind != config::VectorStoreKind::kPostgres) continue;
    auto upstream = std::make_shared<route::Upstream>(*store.upstream);
    upstream->local = services_.emplace_back(service_of(store, embedder)).get();
    stores_.back().upstream = std::move(upstream);
  }
}

}  // namespace payonce
