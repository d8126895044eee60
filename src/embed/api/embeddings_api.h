// POST /v1/embeddings in the shape of OpenAI, on an embedder of this process or behind it. It knows no sockets.
// Threads: serve() any; a sink's calls come on `loop`, whose thread also calls the Call's methods.
// Owner: main.  Lifetime: the embedder outlives it and is ended before the loops are gone; the pool runs nothing of
// it after the loops have stopped and it was drained.
#pragma once

#include <memory>

#include "base/bytes.h"
#include "base/worker_pool.h"
#include "embed/embedder.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "net/message.h"

namespace payonce::embed {

inline constexpr std::string_view kEmbeddingsPath = "/v1/embeddings";

class EmbeddingsApi {
 public:
  // `pool`: bodies are read there.
  EmbeddingsApi(Embedder& embedder, base::WorkerPool& pool) : embedder_(embedder), pool_(pool) {}

  // Any failure is an answer: the sink's on_error() is never called. A request's texts enter the embedder's queue
  // some at a time, so that a long list keeps others waiting for those alone.
  std::shared_ptr<net::Call> serve(const net::RequestHead& head, base::Bytes body, net::EventLoop& loop,
                                   std::shared_ptr<net::ResponseSink> sink);
  const Embedder& embedder() const { return embedder_; }

 private:
  Embedder& embedder_;
  base::WorkerPool& pool_;
};

}  // namespace payonce::embed
