// The engine as a service of this process: answers 503 while the model is loading, the data plane afterwards.
// Threads: start(), join() and the destructor one (main's); the rest any. The model is loaded on a thread of its own.
// Owner: Instance (`payonce up`) or EngineServer (`payonce engine`); their loops have stopped before it is destroyed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "embed/api/embeddings_api.h"
#include "net/local_service.h"
#include "payonce/engine_parts.h"

namespace payonce {

class LocalEngine final : public net::LocalService {
 public:
  struct Hooks {                   // called on the loading thread, at most one of them
    std::function<void()> ready;   // requests are served
    std::function<void()> failed;  // failure() says why
  };
  // `kv_directory`: of the disk tier; empty: none.
  LocalEngine(const config::Settings& settings, std::string kv_directory, EngineParts::Surroundings around,
              Hooks hooks);
  ~LocalEngine() override;

  // /v1/embeddings is served there, also while the model is loading. Before start(); outlives the requests.
  void serve_embeddings(embed::EmbeddingsApi* embeddings) { embeddings_ = embeddings; }

  // Reads the header of the model's file, and begins to load it. kNotFound, kInvalid: no, a damaged or an unknown
  // file.
  base::Status start();
  // Waits until the loading thread is over: called before anything goes that its hooks use.
  void join();
  bool ready() const { return serving_.load() != nullptr; }
  std::optional<base::Error> failure() const;

  // What makes its answers its own, for cache keys: weights, and how they are used. After start().
  const std::string& identity() const { return identity_; }
  const std::string& model_name() const { return probe_.info.name; }
  std::string stats_json() const;  // blocks by state, hit tokens, running, waiting; for /payonce/v1/stats

  std::shared_ptr<net::Call> send(net::RequestHead head, base::Bytes body, std::string tenant, net::EventLoop& loop,
                                  std::shared_ptr<net::ResponseSink> sink) override;

 private:
  void load();

  const config::Settings settings_;
  const std::string kv_directory_;
  const EngineParts::Surroundings around_;
  const Hooks hooks_;
  embed::EmbeddingsApi* embeddings_ = nullptr;  // null: none are served
  engine::Model::Probe probe_;
  std::string identity_;
  std::unique_ptr<EngineParts> parts_;  // the loading thread's until serving_ is set
  std::atomic<EngineParts*> serving_{nullptr};
  mutable std::mutex mutex_;
  std::optional<base::Error> failure_;  // guarded by mutex_
  std::thread loader_;
};

}  // namespace payonce
