// A table search as a server inside the process: POST /query (search_request.h) on threads of its own, so many at a
// time as there are connections; what finds the queue full is answered 429.
// Threads: send() any; the sink's calls come on the caller's loop.  Owner: the instance; outlives its calls.
#pragma once

#include <memory>
#include <string>

#include "base/worker_pool.h"
#include "embed/embedder.h"
#include "net/local_service.h"
#include "retrieval/postgres/connection_pool.h"

namespace payonce::retrieval {

class SearchService final : public net::LocalService {
 public:
  struct Options {
    ConnectionPool::Options pool;
    size_t connections = 4;
    std::string vector_column = "embedding";
    Distance distance = Distance::kCosine;
  };
  // `embedder`: makes vectors of texts; null: texts are refused.
  SearchService(Options options, embed::Embedder* embedder);
  // Waits for the searches that run. REQUIRES: the loops have stopped and the embedder is gone, or nothing waits.
  ~SearchService() override;

  std::shared_ptr<net::Call> send(net::RequestHead head, base::Bytes body, std::string tenant, net::EventLoop& loop,
                                  std::shared_ptr<net::ResponseSink> sink) override;

 private:
  class Search;
  void run(const std::shared_ptr<Search>& search, SearchRequest request);

  const Options options_;
  embed::Embedder* const embedder_;
  ConnectionPool pool_;
  base::WorkerPool workers_;
};

}  // namespace payonce::retrieval
