// Finds what keeps requests from sharing a prefix: fed with requests in the order of time, it compares each with the
// one that it should share its prefix with, and tells every independent cause, not only the first.
//
// Price of a finding: the tokens behind it, up to the next breaker of the same request or to where the common part
// ends, times (input price × (write factor − read factor)); mended in the order of the prefix, findings add up to
// what was lost. Breakers at one position share its price. Tokens are estimates, scaled to what was billed where
// known.
//
// Threads: any, one request at a time inside (a mutex).  Owner: whoever observes.  Memory: Limits; the least recently
// used conversations and sites are forgotten, and then nothing is said about them.
// Errors: none; a request that is no prompt is counted and passed over.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "llm/prices.h"
#include "prefix/breakers/facts.h"
#include "prefix/breakers/finding.h"
#include "prefix/breakers/kept_request.h"

namespace payonce::prefix {

class Detector {
 public:
  struct Limits {
    size_t memory_bytes = size_t{64} << 20;  // of requests kept for comparison
    size_t conversations = 4096;
    size_t sites = 256;
  };
  // The facts of the provider that serves this request. Default: default_facts().
  using FactsOf = std::function<ProviderFacts(const llm::Request&, const CallMeta&)>;

  // `prices` outlives the detector.
  Detector(const llm::PriceTable& prices, const Limits& limits, FactsOf facts_of = nullptr);
  ~Detector();
  Detector(const Detector&) = delete;
  Detector& operator=(const Detector&) = delete;

  void observe(llm::Request request, const CallMeta& meta);
  std::vector<Finding> findings() const;  // in the order of their first request
  size_t requests() const;                // observed
  size_t kept_bytes() const;              // of requests kept for comparison

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace payonce::prefix
