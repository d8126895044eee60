// Asks engines which tokens a prompt is (POST /tokenize), for a request that waits at most so long. An answer that
// comes later is kept for the conversation's next turn.
//
// An engine whose last answer came too late is asked without waiting until one comes in time again; one that failed
// or does not know the path is left alone for kPause_us. Threads: its loop only.  Owner: the loop's state.  Bounded:
// kMaxCalls at once; more requests go without.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/metrics.h"
#include "gateway/upstreams.h"
#include "pipeline/pipeline.h"

namespace payonce::gateway {

class Tokenizer {
 public:
  static constexpr size_t kMaxCalls = 16;
  static constexpr int64_t kPause_us = 10'000'000;

  Tokenizer(net::EventLoop& loop, Upstreams& upstreams, pipeline::Pipeline& pipeline, const base::Clock& clock,
            base::Metrics& metrics);
  ~Tokenizer();

  // `head`: of the client's request; its credential goes to the engine as the request itself will. The pipeline gets
  // the tokens, if any come; `go_on` is called once, when they came or when it has waited long enough.
  void ask(pipeline::TokenQuestion question, const net::RequestHead& head, int64_t within_ms,
           std::function<void()> go_on);

 private:
  class Sink;
  struct Shared;  // outlives us in the calls on their way
  net::EventLoop& loop_;
  Upstreams& upstreams_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace payonce::gateway
