#include "pipeline/accounts.h"

namespace payonce::pipeline {
namespace {

constexpr std::string_view kOutcomeNames[] = {"hit", "miss", "bypass", "stale"};
constexpr std::string_view kForwardedNames[] = {"miss", "bypass", "stale", "request"};

base::Counter requests(base::Metrics& metrics, size_t dialect, std::string_view layer, Outcome outcome) {
  return metrics.counter("payonce_requests_total",
                         {{"dialect", std::string(llm::dialect_name(static_cast<llm::Dialect>(dialect)))},
                          {"layer", std::string(layer)},
                          {"outcome", std::string(outcome_name(outcome))}});
}

}  // namespace

std::string_view outcome_name(Outcome outcome) { return kOutcomeNames[static_cast<size_t>(outcome)]; }
std::string_view forwarded_name(Forwarded why) { return kForwardedNames[static_cast<size_t>(why)]; }

Accounts::Accounts(const base::Clock& clock, base::Metrics& metrics, record::Ledger& ledger, route::Limits& limits)
    : clock_(clock),
      ledger_(ledger),
      limits_(limits),
      fresh_(metrics.counter("payonce_tokens_total", {{"class", "fresh"}})),
      read_(metrics.counter("payonce_tokens_total", {{"class", "read"}})),
      write_(metrics.counter("payonce_tokens_total", {{"class", "write"}})),
      output_(metrics.counter("payonce_tokens_total", {{"class", "output"}})) {
  for (size_t d = 0; d < kDialects; ++d) {
    for (size_t o = 0; o < kOutcomes; ++o) {
      const auto outcome = static_cast<Outcome>(o);
      requests_[d][o] = requests(metrics, d, outcome == Outcome::kBypass ? "none" : "exact", outcome);
    }
    semantic_hits_[d] = requests(metrics, d, "semantic", Outcome::kHit);
  }
}

std::optional<Refusal> Accounts::over_limit(const std::string& caller, const Policy& policy) {
  const auto exceeded = limits_.take(caller, policy.limit_of(caller), clock_.unix_ms());
  if (!exceeded) return std::nullopt;
  return Refusal{.status = 429,
                 .message = exceeded->message,
                 .reason = exceeded->reason,
                 .retry_after_s = exceeded->retry_after_s};
}

void Accounts::forwarded(llm::Dialect dialect, Outcome outcome) {
  requests_[static_cast<size_t>(dialect)][static_cast<size_t>(outcome)].add();
}

void Accounts::saved(const Answer& answer) {
  const cache::Entry& entry = *answer.entry;
  const auto dialect = static_cast<size_t>(answer.prepared->dialect);
  ledger_.add_hit(answer.prepared->scope, entry.model, answer.layer, entry.usage, entry.cost_usd);
  (answer.layer == "semantic" ? semantic_hits_[dialect] : requests_[dialect][static_cast<size_t>(Outcome::kHit)])
      .add();
}

void Accounts::bought(const Prepared& prepared, const Judged& judged) {
  const llm::Usage& usage = judged.usage;
  fresh_.add(static_cast<double>(usage.fresh));
  read_.add(static_cast<double>(usage.read));
  write_.add(static_cast<double>(usage.write_short + usage.write_long));
  output_.add(static_cast<double>(usage.output));
  ledger_.add_spend(prepared.scope, prepared.model, usage, judged.cost_usd);
  limits_.spent(prepared.caller, judged.cost_usd, clock_.unix_ms());
}

}  // namespace payonce::pipeline
