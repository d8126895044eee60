// An embedder behind an OpenAI-compatible /v1/embeddings: texts that wait together go out in one request. It has no
// token vectors.
// Threads: as Embedder; it runs one event loop of its own, on which `done` comes.
#pragma once

#include <memory>
#include <string>

#include "base/metrics.h"
#include "base/result.h"
#include "embed/embedder.h"
#include "net/tls.h"

namespace payonce::embed {

class RemoteEmbedder final : public Embedder {
 public:
  struct Options {
    std::string url;    // "https://api.example.com/v1", with or without "/embeddings"
    std::string model;  // its name there
    std::string key;    // sent as a bearer token; empty: none
    // Of the vectors. What comes with more is cut to the first ones and made length 1 again, as OpenAI does it; fewer
    // are an error.
    int32_t dimensions = 0;
    size_t queue_limit = 1024;    // texts
    size_t batch_limit = 64;      // texts of a request
    size_t calls = 4;             // requests at the same time
    int64_t timeout_ms = 10'000;  // to connect, to the answer's beginning, and between its parts
    net::ClientTls tls;
    base::Metrics* metrics = nullptr;  // outlives it
  };
  // kInvalid: no URL, no model, no dimensions.
  static base::Result<std::unique_ptr<RemoteEmbedder>> make(Options options);
  ~RemoteEmbedder() override;

  // Answers of the other side become errors: 400 kInvalid (of a text alone: others of its request are asked again),
  // 401 and 403 kUnauthorized and kForbidden, 413 kTooLarge, 429 kExhausted, others kUnavailable; what cannot be read
  // is kCorrupt.
  base::Status embed(std::string text, Done done) override;
  int32_t dimensions() const override;
  int32_t width() const override { return dimensions(); }
  const std::string& model() const override;
  const std::string& identity() const override;

 private:
  struct State;
  explicit RemoteEmbedder(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace payonce::embed
