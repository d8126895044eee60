#include "audit/inline_embedder.h"

#include <future>
#include <utility>

namespace payonce::audit {

InlineEmbedder::InlineEmbedder(embed::Embedder& inner, size_t remembered_bytes)
    : inner_(inner), known_(remembered_bytes) {}

base::Status InlineEmbedder::embed(std::string text, Done done) {
  const base::Hash128 key = hash_(text);
  if (const embed::Embedding* known = known_.find(key)) {
    done(*known);
    return {};
  }
  std::promise<base::Result<embed::Embedding>> promise;
  PAYONCE_CHECK_OK(inner_.embed(std::move(text),
                                [&](base::Result<embed::Embedding> made) { promise.set_value(std::move(made)); }));
  auto made = promise.get_future().get();
  if (made) {
    const size_t bytes = sizeof(float) * (made->vector.size() + made->token_vectors.size()) +
                         sizeof(int32_t) * made->token_ids.size() + sizeof(embed::Embedding);
    known_.insert(key, *made, bytes);
  }
  done(std::move(made));
  return {};
}

}  // namespace payonce::audit
