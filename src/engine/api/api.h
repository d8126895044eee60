// The engine's data plane: requests of both dialects in, answers of both dialects out, whole or as streams. It knows
// no sockets: `payonce engine` puts a server before it, `payonce up` calls it inside the process as an upstream.
// Threads: serve(), close() any; a sink's calls come on `loop`, whose thread also calls the Call's methods.
// Owner: main.  Lifetime: engine, vocabulary, template, pool and clock outlive it.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/worker_pool.h"
#include "engine/api/ports.h"
#include "engine/model/chat_template.h"
#include "engine/model/model.h"
#include "net/client.h"
#include "net/event_loop.h"
#include "net/message.h"

namespace payonce::engine {

struct ApiLimits {
  int32_t max_n = 128;        // n, best_of, beams
  int32_t max_prompts = 256;  // of one /v1/completions request; times n they stay below max_sequences
  int32_t max_sequences = 1024;
  int32_t max_logprobs = 20;
  int64_t request_timeout_ms = 600'000;  // deadline of a request, from its arrival
  size_t max_stops = 16;
  size_t max_cache_marks = 4;  // as Anthropic has it
};

class Api {
 public:
  struct Parts {
    EnginePort engine;  // port_of(engine)
    VocabPort vocab;    // port_of(vocab)
    const ChatTemplate& chat;
    const ModelInfo& model;
    base::WorkerPool& pool;  // parsing, templates and tokenizing happen there
    const base::Clock& clock;
  };
  // `context_tokens`: longest prompt with its answer.
  Api(Parts parts, ApiLimits limits, int32_t context_tokens);
  // REQUIRES: every loop that a call was made on has stopped, or each call is over. Waits for its jobs on the pool.
  ~Api();

  // POST /v1/chat/completions, /v1/completions, /v1/messages, /v1/messages/count_tokens, /v1/responses; GET
  // /v1/models, /v1/models/ID; else 404 or 405 in the dialect's shape. Any failure is an answer: the sink's
  // on_error() is never called. No call of the sink comes before serve() has returned, when it is called on `loop`.
  // `tenant`: whose KV it may share; see tenant_of().
  std::shared_ptr<net::Call> serve(net::RequestHead head, base::Bytes body, std::string tenant, net::EventLoop& loop,
                                   std::shared_ptr<net::ResponseSink> sink);
  // From now on every request gets 503, and those that run are cancelled and told so.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// The tenant of a request that came from outside: a digest of its credential (Authorization, x-api-key), or
// "anonymous" without one. The same key under either name is the same tenant.
std::string tenant_of(const net::Headers& headers);

}  // namespace payonce::engine
