// An embedder that answers before embed() returns, and remembers: a replay is the same each time, and a second one of
// the same log costs no embedding.  Threads: one.  Owner: the audit; `inner` outlives it.
#pragma once

#include <string>

#include "base/hash.h"
#include "base/lru_map.h"
#include "embed/embedder.h"

namespace payonce::audit {

class InlineEmbedder final : public embed::Embedder {
 public:
  explicit InlineEmbedder(embed::Embedder& inner, size_t remembered_bytes = size_t{512} << 20);

  base::Status embed(std::string text, Done done) override;
  int32_t dimensions() const override { return inner_.dimensions(); }
  int32_t width() const override { return inner_.width(); }
  const std::string& model() const override { return inner_.model(); }
  const std::string& identity() const override { return inner_.identity(); }

 private:
  embed::Embedder& inner_;
  const base::KeyedHash hash_;
  base::LruMap<embed::Embedding> known_;
};

}  // namespace payonce::audit
