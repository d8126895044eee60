#include "pipeline/route_stage.h"

#include <exception>
#include <utility>

#include "base/log.h"
#include "pipeline/upstream_rules.h"
#include "prefix/prompt/prompt.h"
#include "prompt_cache/rules.h"

namespace payonce::pipeline {
namespace {

constexpr double kAssumedOutput = 5;  // times the price of input, where no list has the model (most lists: 4 to 6)

route::Chain chain_of(const prefix::Prompt& prompt) {
  route::Chain out;
  out.reserve(prompt.blocks.size());
  for (const prefix::Block& block : prompt.blocks) out.push_back({block.chain, block.tokens_through});
  return route::thinned(std::move(out));
}

uint32_t turns_of(const prefix::Prompt& prompt) {
  uint32_t turns = 1;
  for (const prefix::Unit& unit : prompt.units)
    if (unit.section == prefix::Section::kMessages && unit.role == prefix::Role::kAssistant) ++turns;
  return turns;
}

// USD per token where the list has the model, else multiples of the price of input.
route::Rates rates_of(const route::Upstream& upstream, const prompt_cache::Rule& rule, const llm::PriceRow* row,
                      int64_t tokens) {
  const bool written = rule.provider->bills_writes;
  route::Rates out{
      .read = rule.read_factor, .write = written ? rule.short_ttl.write_factor : 1, .output = kAssumedOutput};
  if (row != nullptr) {
    const llm::Price price = row->at(tokens);
    out = {.read = price.cache_read * 1e-6,
           .write = (written ? price.cache_write_short : price.input) * 1e-6,
           .output = price.output * 1e-6};
  }
  out.read *= upstream.price_factor;
  out.write *= upstream.price_factor;
  out.output *= upstream.price_factor;
  return out;
}

}  // namespace

RouteStage::RouteStage(const base::Clock& clock, base::Metrics& metrics)
    : clock_(clock), placement_(std::make_shared<route::Placement>(route::Placement::Options{.metrics = &metrics})) {}

route::Candidate RouteStage::candidate(const Forward& forward, const route::UpstreamPtr& upstream, int64_t tokens,
                                       int64_t now_ms) const {
  route::Candidate out{.upstream = upstream};
  if (!forward.prepared) return out;
  const Prepared& prepared = *forward.prepared;
  const prompt_cache::Provider& provider = provider_of(*upstream, prepared);
  const prompt_cache::Rule rule = prompt_cache::rule_for(provider, prepared.model);
  const bool unknown = provider.id.starts_with("unknown");
  // Replicas that nobody knows are engines of one's own, which keep what fits.
  const bool until_evicted = unknown && forward.policy->routing == route::RoutingPolicy::kBalance;
  out.account = hash_.parts<2>({account_of(*upstream, prepared), prepared.model});
  out.ttl_ms = until_evicted ? 0 : rule.short_ttl.ttl_ms;
  out.min_tokens = rule.min_tokens;
  out.rates = rates_of(*upstream, rule, forward.policy->prices.find(prepared.model, now_ms), tokens);
  return out;
}

std::optional<llm::Request> RouteStage::plan(Forward& forward, const base::Bytes& body) {
  std::optional<llm::Request> parsed;
  if (forward.prepared && forward.candidates.size() > 1)
    if (auto request = llm::parse_request(forward.prepared->dialect, body)) parsed = *std::move(request);
  rank(forward, parsed ? &*parsed : nullptr);
  return parsed;
}

void RouteStage::rank(Forward& forward, const llm::Request* request) {
  const int64_t now_ms = clock_.unix_ms();
  try {
    route::Asked asked{.policy = forward.policy->routing};
    if (request != nullptr) {
      asked.stream = request->stream;
      if (const auto prompt = prefix::read_prompt(*request, hash_)) {
        asked.chain = chain_of(*prompt);
        asked.turns = turns_of(*prompt);
      }
    }
    const int64_t tokens = asked.chain.empty() ? 0 : asked.chain.back().tokens;
    for (const route::UpstreamPtr& upstream : forward.candidates)
      asked.candidates.push_back(candidate(forward, upstream, tokens, now_ms));
    forward.trip = placement_->plan(std::move(asked), now_ms);
    forward.candidates = forward.trip->order();
  } catch (const std::exception& error) {
    base::log_error("routing: {}; the configuration's order stands", error.what());
  }
}

}  // namespace payonce::pipeline
