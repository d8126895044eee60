// Routing as a stage: what a request's prompt is as a chain, what each candidate's cache and prices are for it, and
// in which order the candidates are tried. Threads: all any.  Owner: Pipeline.
#pragma once

#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/hash.h"
#include "base/metrics.h"
#include "llm/request.h"
#include "pipeline/decision.h"
#include "route/placement.h"

namespace payonce::pipeline {

class RouteStage {
 public:
  RouteStage(const base::Clock& clock, base::Metrics& metrics);

  // Puts forward.candidates in order and begins forward.trip. Returns the body as it was read, for who needs it next;
  // with one candidate the prompt decides nothing, and it is not read.
  std::optional<llm::Request> plan(Forward& forward, const base::Bytes& body);

  route::Placement::Stats stats() const { return placement_->stats(); }

 private:
  void rank(Forward& forward, const llm::Request* request);
  route::Candidate candidate(const Forward& forward, const route::UpstreamPtr& upstream, int64_t tokens,
                             int64_t now_ms) const;

  const base::Clock& clock_;
  // Of no secret: two gateways hash equal prompts alike and send new ones to the same replica. Who makes two prompts
  // of one account collide gets nothing but a worse place for his own request.
  const base::KeyedHash hash_{"payonce route v1"};
  const std::shared_ptr<route::Placement> placement_;  // each trip holds it, too
};

}  // namespace payonce::pipeline
