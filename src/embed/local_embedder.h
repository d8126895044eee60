// An encoder of this process. Its weights are read at the first text, so an instance that nobody asks for a vector
// pays for the file's header alone.
// Texts that wait together are computed together, some at a time: more is no quicker and keeps the first ones
// waiting. Threads: as Embedder; it runs Options::threads of its own, each with a batch of its own.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/metrics.h"
#include "base/result.h"
#include "embed/bert.h"
#include "embed/embedder.h"
#include "embed/waiting.h"
#include "embed/word_pieces.h"

namespace payonce::embed {

class LocalEmbedder final : public Embedder {
 public:
  struct Options {
    std::string file;                  // a GGUF file of the BERT architecture
    int threads = 1;                   // texts computed at the same time
    size_t queue_limit = 1024;         // texts
    int32_t dimensions = 0;            // the first so many, made length 1 again; 0: all
    base::Metrics* metrics = nullptr;  // outlives it
  };
  // Reads the header. kNotFound; kInvalid: see BertFile, or more dimensions than there are.
  static base::Result<std::unique_ptr<LocalEmbedder>> make(Options options);
  ~LocalEmbedder() override;

  base::Status embed(std::string text, Done done) override { return waiting_.add(std::move(text), std::move(done)); }
  int32_t dimensions() const override { return dimensions_; }
  int32_t width() const override { return shape_.width; }
  const std::string& model() const override { return model_; }
  const std::string& identity() const override { return identity_; }
  int32_t max_tokens() const { return shape_.max_tokens; }

 private:
  struct Model {
    std::unique_ptr<Bert> bert;
    std::unique_ptr<WordPieces> pieces;
  };
  explicit LocalEmbedder(Options options);
  void run();
  base::Result<const Model*> model_loaded();
  base::Result<Model> load() const;
  void compute(const Model& model, std::span<WaitingText> batch, Bert::Workspace& workspace);
  base::Result<Embedding> finish(const Model& model, const WordPieces::Tokens& tokens, Bert::Rows rows) const;

  const Options options_;
  std::string model_, identity_, digest_;
  BertShape shape_;
  int32_t dimensions_ = 0;
  Waiting waiting_;
  std::mutex load_mutex_;
  std::optional<base::Result<Model>> loaded_;  // set once, guarded by load_mutex_
  std::vector<std::thread> threads_;
};

}  // namespace payonce::embed
