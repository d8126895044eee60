#include "pipeline/route_stage.h"

#include <exception>
#include <utility>

#include "base/log.h"
#include "pipeline/upstream_rules.h"
#include "prefix/prompt/prompt.h"
#include "prompt_cache/rules.h"

namespace payonce::pipeline {
namespace {

constexpr double kEnough = 0.875;     // of the tokens known: no engine is asked for the rest
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

// An engine that tells what it holds now.
bool tells(const route::Upstream& upstream) {
  return upstream.cache_events && upstream.cache_events->stats().connected;
}

std::optional<route::Told> told_by(const route::Upstream& upstream, const PromptTokens::Known& known,
                                   std::string_view model) {
  if (!tells(upstream)) return std::nullopt;
  const kv_events::BlockIndex& index = upstream.cache_events->index();
  const kv_events::BlockIndex::State state = index.state();
  route::Told out{.losses = state.losses, .complete = state.complete, .tokens = state.tokens};
  if (!known.tokens) return out;
  out.known = known.share;
  out.held = known.share * static_cast<double>(index.cached_tokens(*known.tokens, model)) /
             static_cast<double>(known.tokens->size());
  return out;
}

}  // namespace

RouteStage::RouteStage(const base::Clock& clock, base::Metrics& metrics)
    : clock_(clock), placement_(std::make_shared<route::Placement>(route::Placement::Options{.metrics = &metrics})) {}

route::Candidate RouteStage::candidate(const Forward& forward, const route::UpstreamPtr& upstream, int64_t tokens,
                                       const PromptTokens::Known& known, int64_t now_ms) const {
  route::Candidate out{.upstream = upstream};
  if (!forward.prepared) return out;
  const Prepared& prepared = *forward.prepared;
  out.told = told_by(*upstream, known, prepared.model);
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

void RouteStage::read(Forward& forward, const base::Bytes& body) const {
  if (forward.read || !forward.prepared || forward.candidates.size() < 2) return;
  auto request = llm::parse_request(forward.prepared->dialect, body);
  if (!request) return;
  const auto made = std::make_shared<ReadPrompt>();
  made->request = *std::move(request);
  if (const auto prompt = prefix::read_prompt(made->request, hash_)) {
    made->chain = chain_of(*prompt);
    made->turns = turns_of(*prompt);
  }
  forward.read = made;
}

std::optional<TokenQuestion> RouteStage::token_question(Forward& forward, const base::Bytes& body) {
  if (forward.policy->routing != route::RoutingPolicy::kBalance || forward.policy->tokenize_within_ms <= 0)
    return std::nullopt;
  std::vector<route::UpstreamPtr> asked;
  for (const route::UpstreamPtr& upstream : forward.candidates)
    if (tells(*upstream) && !upstream->breaker->is_open(clock_.unix_ms())) asked.push_back(upstream);
  if (asked.empty()) return std::nullopt;
  read(forward, body);
  if (!forward.read || forward.read->chain.empty()) return std::nullopt;
  const std::string& model = forward.prepared->model;
  if (tokens_.find(forward.read->chain, model).share >= kEnough) return std::nullopt;
  auto text = tokenize_body(forward.read->request);
  if (!text) return std::nullopt;
  return TokenQuestion{.upstream = asked[next_asked_++ % asked.size()],
                       .body = *std::move(text),
                       .prompt = forward.read->chain.back().hash,
                       .model = model};
}

void RouteStage::tokens_came(const TokenQuestion& question, std::vector<uint32_t> tokens) {
  tokens_.keep(question.prompt, question.model, std::move(tokens));
}

std::shared_ptr<const ReadPrompt> RouteStage::plan(Forward& forward, const base::Bytes& body) {
  try {
    read(forward, body);
    rank(forward);
  } catch (const std::exception& error) {
    base::log_error("routing: {}; the configuration's order stands", error.what());
  }
  return std::move(forward.read);
}

void RouteStage::rank(Forward& forward) {
  const int64_t now_ms = clock_.unix_ms();
  route::Asked asked{.policy = forward.policy->routing};
  PromptTokens::Known known;
  if (forward.read) {
    asked.stream = forward.read->request.stream;
    asked.chain = forward.read->chain;
    asked.turns = forward.read->turns;
    known = tokens_.find(asked.chain, forward.prepared->model);
  }
  const int64_t tokens = asked.chain.empty() ? 0 : asked.chain.back().tokens;
  for (const route::UpstreamPtr& upstream : forward.candidates)
    asked.candidates.push_back(candidate(forward, upstream, tokens, known, now_ms));
  forward.trip = placement_->plan(std::move(asked), now_ms);
  forward.candidates = forward.trip->order();
}

}  // namespace payonce::pipeline
