// Embeddings of many texts in one file, so that a policy can be tried on a stream again and again without embedding
// it each time. Written by embed_texts; for benches and training alone.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "embed/embedder.h"

namespace payonce::bench {

class EmbeddingFile {
 public:
  // kNotFound, kCorrupt with what is wrong.
  static base::Result<EmbeddingFile> open(const std::string& path);
  // nullptr: this text is not in the file.
  const embed::Embedding* find(const std::string& text) const;
  size_t size() const { return of_.size(); }

 private:
  std::unordered_map<std::string, embed::Embedding> of_;
};

}  // namespace payonce::bench
