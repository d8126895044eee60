// Text to vectors, for the semantic layer and /v1/embeddings.
// Threads: embed() any; `done` comes on a thread of the embedder, once, or not at all when embed() returned an error.
// Owner: the instance. Destroying it answers what still waits with kUnavailable.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace payonce::embed {

// One text. Its tokens are what the model has computed on the way, free for whoever compares two texts word by word;
// a remote embedder has none.
struct Embedding {
  std::vector<float> vector;         // dimensions() numbers, of length 1
  std::vector<int32_t> token_ids;    // of the model's vocabulary, without [CLS] and [SEP]; the text's beginning when
                                     // it is longer than the model reads
  std::vector<float> token_vectors;  // one of width() numbers for each of them, last layer, of length 1, or empty
  int32_t tokens = 0;                // that were read, with the model's own ([CLS], [SEP]); what usage counts
  bool truncated = false;            // the text is longer than the model reads
};

class Embedder {
 public:
  using Done = std::function<void(base::Result<Embedding>)>;
  virtual ~Embedder() = default;

  // kExhausted: the queue is full. An empty text is kInvalid. `done` is quick: it holds up the texts behind.
  virtual base::Status embed(std::string text, Done done) = 0;
  virtual int32_t dimensions() const = 0;        // of `vector`, after truncation
  virtual int32_t width() const = 0;             // of a token's vector: the model's own
  virtual const std::string& model() const = 0;  // its name: "all-MiniLM-L6-v2"
  // Names model, file digest and truncation: vectors of two identities are never compared.
  virtual const std::string& identity() const = 0;
};

}  // namespace payonce::embed
