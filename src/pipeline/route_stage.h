// Routing as a stage: what a request's prompt is as a chain, what each candidate's cache and prices are for it, and
// in which order the candidates are tried. Threads: all any.  Owner: Pipeline.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "kv_events/subscriber.h"
#include "llm/request.h"
#include "pipeline/decision.h"
#include "pipeline/prompt_tokens.h"
#include "pipeline/token_question.h"
#include "route/placement.h"

namespace payonce::pipeline {

// A request as routing sees it.
struct ReadPrompt {
  llm::Request request;
  route::Chain chain;  // empty: nothing is known of the prompt
  uint32_t turns = 1;
};

class RouteStage {
 public:
  RouteStage(const base::Clock& clock, base::Metrics& metrics);

  // Where an engine tells what it holds, which tokens the prompt is decides; it is asked before plan(), for a short
  // time. Nothing: no engine tells, the policy does not go by that, or most of the prompt's tokens are known.
  std::optional<TokenQuestion> token_question(Forward& forward, const base::Bytes& body);
  // The answer, in time or later: it serves the next turn as well.
  void tokens_came(const TokenQuestion& question, std::vector<uint32_t> tokens);

  // Puts forward.candidates in order and begins forward.trip. Returns the body as it was read, for who needs it next;
  // with one candidate the prompt decides nothing, and it is not read: null.
  std::shared_ptr<const ReadPrompt> plan(Forward& forward, const base::Bytes& body);

  route::Placement::Stats stats() const { return placement_->stats(); }

 private:
  void read(Forward& forward, const base::Bytes& body) const;
  void rank(Forward& forward);
  route::Candidate candidate(const Forward& forward, const route::UpstreamPtr& upstream, int64_t tokens,
                             const PromptTokens::Known& known, int64_t now_ms) const;

  const base::Clock& clock_;
  // Of no secret: two gateways hash equal prompts alike and send new ones to the same replica. Who makes two prompts
  // of one account collide gets nothing but a worse place for his own request.
  const base::KeyedHash hash_{"payonce route v1"};
  const std::shared_ptr<route::Placement> placement_;  // each trip holds it, too
  PromptTokens tokens_;
  std::atomic<uint32_t> next_asked_{0};  // engines are asked in turns
};

}  // namespace payonce::pipeline
