#include "pipeline/upstream_rules.h"

namespace payonce::pipeline {

std::string account_of(const route::Upstream& upstream, const Prepared& prepared) {
  const bool callers_own = upstream.key.empty() && upstream.forward_credential;
  return upstream.name + "\n" + upstream.identity + "\n" + (callers_own ? prepared.caller : std::string());
}

const prompt_cache::Provider& provider_of(const route::Upstream& upstream, const Prepared& prepared) {
  const auto& table = prompt_cache::Providers::built_in();
  if (upstream.local != nullptr)
    if (const prompt_cache::Provider* own = table.find("payonce")) return *own;
  const bool anthropic = route::wire_of(prepared.dialect) == route::UpstreamKind::kAnthropic;
  return *table.detect(anthropic ? upstream.anthropic_base_url : upstream.base_url, prepared.model,
                       anthropic ? prompt_cache::Wire::kAnthropic : prompt_cache::Wire::kOpenAi);
}

}  // namespace payonce::pipeline
