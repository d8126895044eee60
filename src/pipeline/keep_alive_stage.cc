#include "pipeline/keep_alive_stage.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "llm/request.h"
#include "pipeline/upstream_rules.h"
#include "prefix/ping_request.h"

namespace payonce::pipeline {
namespace {

constexpr std::string_view kLayer = "keep_alive";  // in the ledger

base::Counter outcome(base::Metrics& metrics, const char* name) {
  return metrics.counter("payonce_keep_alive_pings_total", {{"outcome", name}});
}
base::Counter tokens(base::Metrics& metrics, const char* name) {
  return metrics.counter("payonce_tokens_total", {{"class", name}});
}

// As Fetch sends it.
const base::Bytes& sent_body(const Forward& forward, const route::UpstreamPtr& upstream, const base::Bytes& clients) {
  const bool planned = forward.prefix && forward.prefix->body && upstream == forward.candidates.front();
  return planned ? *forward.prefix->body : clients;
}

// Null where the automatic mark alone stands at the end.
const prefix::Block* last_mark(const prefix::Prompt& prompt) {
  if (prompt.automatic != prefix::Marker::kNone) return nullptr;
  const prefix::Block* out = nullptr;
  for (const prefix::Block& block : prompt.blocks)
    if (block.marker != prefix::Marker::kNone) out = &block;
  return out;
}

// What a ping is billed if all of the prefix is gone and written anew, at the dearest TTL that it is marked with.
llm::Usage worst_of(const llm::Usage& usage, const prefix::Prompt& prompt) {
  const bool has_long = std::any_of(prompt.blocks.begin(), prompt.blocks.end(),
                                    [](const prefix::Block& block) { return block.marker == prefix::Marker::kLong; });
  llm::Usage out{.fresh = usage.fresh, .output = 1};
  (has_long ? out.write_long : out.write_short) = usage.input() - usage.fresh;
  return out;
}

}  // namespace

KeepAliveStage::KeepAliveStage(Parts parts)
    : clock_(parts.clock),
      ledger_(parts.ledger),
      limits_(parts.limits),
      prefix_(parts.prefix),
      read_(outcome(parts.metrics, "read")),
      written_(outcome(parts.metrics, "written")),
      failed_(outcome(parts.metrics, "failed")),
      usd_(parts.metrics.counter("payonce_keep_alive_usd_total")),
      fresh_tokens_(tokens(parts.metrics, "fresh")),
      read_tokens_(tokens(parts.metrics, "read")),
      write_tokens_(tokens(parts.metrics, "write")),
      output_tokens_(tokens(parts.metrics, "output")) {}

void KeepAliveStage::recall_today() {
  double usd = 0;
  for (const record::LedgerRow& row : ledger_.rows(1))
    if (row.layer == kLayer) usd += row.usd;
  keeper_.spent_before(usd, clock_.unix_ms());
  recalled_ = true;
}

bool KeepAliveStage::concerns(const Forward& forward) const {
  return forward.prepared && forward.policy->prefix.keep_alive_usd_per_day > 0 &&
         forward.prepared->dialect == llm::Dialect::kAnthropicMessages &&
         PrefixStage::mode_for(forward) != prefix::Mode::kOff;
}

// Who speaks, to which model, and how the conversation began.
base::Hash128 KeepAliveStage::conversation_key(const Prepared& prepared, const prefix::Prompt& prompt) const {
  const uint32_t first = prompt.first_of(prefix::Section::kMessages);
  const base::Hash128 begin = first < prompt.blocks.size() ? prompt.blocks[first].value : base::Hash128();
  return hash_.parts<4>({"conversation", prepared.scope, prepared.model, base::bytes_of(begin)});
}

base::Hash128 KeepAliveStage::front_key(const Forward& forward, const route::Upstream& upstream,
                                        const prefix::Block& mark) const {
  const Prepared& prepared = *forward.prepared;
  return hash_.parts<4>({"front", account_of(upstream, prepared), prepared.model, base::bytes_of(mark.chain)});
}

void KeepAliveStage::came(const Forward& forward, const base::Bytes& body) {
  if (stats().held == 0) return;
  const route::UpstreamPtr& upstream = forward.candidates.front();
  const auto request = llm::parse_request(forward.prepared->dialect, sent_body(forward, upstream, body));
  const auto prompt = request ? prefix::read_prompt(*request, hash_) : std::nullopt;
  if (!prompt) return;
  keeper_.came(conversation_key(*forward.prepared, *prompt));
  for (const prefix::Block& block : prompt->blocks)
    if (block.section != prefix::Section::kMessages && block.marker != prefix::Marker::kNone)
      keeper_.came(front_key(forward, *upstream, block));
}

uint32_t KeepAliveStage::pings_worth(const llm::Price& price, const prompt_cache::Rule& rule) {
  if (price.input <= 0) return 0;
  return prefix_.optimizer().pings_worth(
      {.write_short = price.cache_write_short / price.input,
       .write_long = rule.provider->long_ttl ? price.cache_write_long / price.input : 0,
       .read = price.cache_read / price.input,
       .short_ms = rule.short_ttl.ttl_ms,
       .long_ms = rule.long_ttl.ttl_ms});
}

void KeepAliveStage::answered(const Forward& forward, const base::Bytes& body, const Judged& judged, size_t bytes,
                              const MakeSend& make_send) {
  const int64_t prefix_tokens = judged.usage.read + judged.usage.write_short;
  if (!concerns(forward) || !judged.complete || prefix_tokens == 0) return;
  const Prepared& prepared = *forward.prepared;
  const route::UpstreamPtr& upstream = forward.trip ? forward.trip->at() : forward.candidates.front();
  const prompt_cache::Provider& provider = provider_of(*upstream, prepared);
  const int64_t now_ms = clock_.unix_ms();
  const llm::PriceRow* row = forward.policy->prices.find(prepared.model, now_ms);
  if (!takes_pings(provider) || row == nullptr) return;
  const prompt_cache::Rule rule = prompt_cache::rule_for(provider, prepared.model);
  const uint32_t pings = pings_worth(row->at(judged.usage.input()), rule);
  if (pings == 0) return;

  const auto sent = llm::parse_request(prepared.dialect, sent_body(forward, upstream, body));
  const auto prompt = sent ? prefix::read_prompt(*sent, hash_) : std::nullopt;
  auto ping_body = prompt ? prefix::ping_request(*prompt) : std::nullopt;
  if (!ping_body) return;
  const llm::Usage worst = worst_of(judged.usage, *prompt);
  const size_t held_bytes = ping_body->size() + bytes;
  auto ping = std::make_shared<const Ping>(
      Ping{forward.prepared, upstream, forward.policy, base::Bytes(*std::move(ping_body))});
  const prefix::Block* mark = last_mark(*prompt);
  const bool front = mark != nullptr && mark->section != prefix::Section::kMessages;
  keeper_.hold({.session = front ? front_key(forward, *upstream, *mark) : conversation_key(prepared, *prompt),
                .started_ms = now_ms - (clock_.monotonic_us() - forward.started_us) / 1000,
                .ttl_ms = rule.short_ttl.ttl_ms,
                .pings = pings,
                .worst_usd = upstream->price_factor * forward.policy->prices.cost_usd(prepared.model, worst, now_ms),
                .bytes = held_bytes,
                .send = [this, ping, send = make_send(ping)](uint64_t number) {
                  if (may_go(*ping)) return send(number);
                  keeper_.withdraw(number);
                }});
}

bool KeepAliveStage::may_go(const Ping& ping) const {
  const int64_t now_ms = clock_.unix_ms();
  const std::string& caller = ping.prepared->caller;
  return limits_.affords(caller, ping.policy->limit_of(caller), now_ms) && !ping.upstream->breaker->is_open(now_ms);
}

std::vector<std::function<void()>> KeepAliveStage::due(const Policy& policy) {
  if (generation_.exchange(policy.generation) != policy.generation) keeper_.forget_all();
  if (!recalled_) return {};
  return keeper_.due(clock_.unix_ms(), policy.prefix.keep_alive_usd_per_day);
}

void KeepAliveStage::done(uint64_t number, const Ping& ping, int status, std::string_view body) {
  const Prepared& prepared = *ping.prepared;
  const llm::Usage usage =
      status == 200 ? llm::analyse(prepared.dialect, llm::Form::kJson, body).usage : llm::Usage{};
  if (!usage.known) return failed(number, status == 200);
  const int64_t now_ms = clock_.unix_ms();
  const double usd = ping.upstream->price_factor * ping.policy->prices.cost_usd(prepared.model, usage, now_ms);
  const int64_t written = usage.write_short + usage.write_long;
  const bool found = usage.read > written;
  keeper_.answered(number, usd, found, now_ms);
  (found ? read_ : written_).add();
  usd_.add(usd);
  fresh_tokens_.add(static_cast<double>(usage.fresh));
  read_tokens_.add(static_cast<double>(usage.read));
  write_tokens_.add(static_cast<double>(written));
  output_tokens_.add(static_cast<double>(usage.output));
  ledger_.add_spend(prepared.scope, prepared.model, usage, usd, kLayer);
  limits_.spent(prepared.caller, usd, now_ms);
}

void KeepAliveStage::failed(uint64_t number, bool perhaps_sent) {
  keeper_.failed(number, perhaps_sent, clock_.unix_ms());
  failed_.add();
}

}  // namespace payonce::pipeline
