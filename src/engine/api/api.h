// The engine's data plane: requests of both dialects in, answers of both dialects out, whole or as streams. It knows
// no sockets: `payonce engine` puts a server before it, `payonce up` calls it inside the process as an upstream.
// Threads: serve() any; a sink's calls come on `loop`, whose thread also calls cancel().  Owner: main.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/worker_pool.h"
#include "engine/engine.h"
#include "engine/model/chat_template.h"
#include "engine/model/model.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "net/message.h"

namespace payonce::engine {

struct ApiLimits {
  int32_t max_n = 128;             // n, best_of, beams
  int32_t max_logprobs = 20;
  int64_t request_timeout_ms = 600'000;  // deadline of a request, from its arrival
  size_t max_stops = 16;
};

class Api {
 public:
  struct Parts {
    Engine& engine;
    const Vocab& vocab;
    const ChatTemplate& chat;
    const ModelInfo& model;
    base::WorkerPool& pool;  // templates and tokenizing happen there
    const base::Clock& clock;
  };
  Api(Parts parts, ApiLimits limits, int32_t context_tokens);
  ~Api();

  // POST /v1/chat/completions, /v1/completions, /v1/messages, /v1/messages/count_tokens, /v1/responses; GET /v1/models,
  // /v1/models/ID; else 404 in the dialect's shape. `tenant`: whose KV it may share; see tenant_of().
  std::shared_ptr<net::Call> serve(net::RequestHead head, base::Bytes body, std::string tenant, net::EventLoop& loop,
                                   std::shared_ptr<net::ResponseSink> sink);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The tenant of a request that came from outside: a digest of its credential (Authorization, x-api-key), or
// "anonymous" without one.
std::string tenant_of(const net::Headers& headers);

}  // namespace payonce::engine
