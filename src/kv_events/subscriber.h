// A subscription to one engine's KV events over ZeroMQ (vLLM: --kv-events-config, SGLang: the same), on a thread of
// its own. Frames: topic, number (8 bytes, big-endian), payload. Missed batches are asked for at a ROUTER socket: an
// empty frame and the first number; the answers are an empty frame, the topic (vLLM 0.32, not 0.14), number and
// payload, and the last one's number is −1.
//
// A lost connection is made again by libzmq, after 0.1 s, then twice as long each time up to 5 s. A peer that does
// not answer heartbeats for 30 s counts as lost; an engine with nothing to say answers them.
// Threads: constructor and destructor one, the rest any.  Owner: Subscriptions.  Errors: an endpoint that libzmq does
// not take is logged, and nothing comes.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "kv_events/block_index.h"
#include "kv_events/feed.h"

namespace payonce::kv_events {

struct Endpoints {
  std::string events;  // "tcp://host:5557"
  std::string replay;  // "tcp://host:5558"; empty: none
  auto operator<=>(const Endpoints&) const = default;
};

class Subscriber {
 public:
  Subscriber(Endpoints endpoints, const base::Clock& clock);
  ~Subscriber();  // ends its thread at once
  Subscriber(const Subscriber&) = delete;
  Subscriber& operator=(const Subscriber&) = delete;

  const BlockIndex& index() const;
  Feed::Stats stats() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace payonce::kv_events
