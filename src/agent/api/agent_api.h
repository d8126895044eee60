// The agent API, whatever carries it: one call in, one JSON answer out. HTTP (gateway) and the Unix socket are its
// two carriers. A look-up that needs neither disk nor embedder is answered on the caller's loop; anything else goes
// to a pool of its own and comes back. Threads: call() on `loop`; `done` comes on it, once.  Owner: the instance;
// outlives the carriers.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/agent_cache.h"
#include "agent/api/calls.h"
#include "base/bytes.h"
#include "base/worker_pool.h"
#include "identity/part_digests.h"
#include "identity/scope.h"
#include "net/event_loop.h"
#include "net/headers.h"

namespace payonce::agent {

enum class Verb : char {
  kLookup = 'L',
  kCommit = 'C',
  kAbort = 'A',
  kInvalidate = 'I',
  kHint = 'H',
  kFeedback = 'F',
  kStats = 'S',  // on the socket only: over HTTP it is GET /payonce/v1/stats
};
std::optional<Verb> verb_of(std::string_view path);  // "/payonce/v1/lookup"

struct Reply {
  int status = 200;
  std::string body;
};

// Who calls, by what the carrier knows.
struct Peer {
  net::Headers headers;          // the credential, and X-Payonce-Scope
  bool on_this_machine = false;  // files that it names are ours
};

class AgentApi {
 public:
  using Done = std::function<void(Reply)>;
  struct Parts {
    AgentCache& cache;
    const base::Clock& clock;
    base::WorkerPool& pool;  // waited for
    std::function<base::Result<identity::Caller>(const net::Headers&)> identify;
  };
  explicit AgentApi(Parts parts) : parts_(std::move(parts)) {}

  void call(Verb verb, base::Bytes body, Peer peer, net::EventLoop& loop, Done done);
  AgentCache& cache() { return parts_.cache; }

 private:
  struct Lookup;
  using LookupPtr = std::shared_ptr<Lookup>;
  base::Result<Caller> caller_of(const Peer& peer, std::string_view scope) const;
  void look_up(const base::Bytes& body, const Peer& peer, net::EventLoop& loop, Done done);
  void go_on(const LookupPtr& lookup, AgentCache::Mode mode);
  void go_on_in_pool(const LookupPtr& lookup);
  void ask_meaning(const LookupPtr& lookup);
  void wait(const LookupPtr& lookup);
  base::Result<Reply> blocking_call(Verb verb, std::string_view body, const Peer& peer);
  void post(net::EventLoop& loop, const Done& done, std::function<Reply()> work);

  const Parts parts_;
  identity::PartDigests known_;
};

}  // namespace payonce::agent
