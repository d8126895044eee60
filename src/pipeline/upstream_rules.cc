#include "pipeline/upstream_rules.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace payonce::pipeline {

std::string account_of(const route::Upstream& upstream, const Prepared& prepared) {
  const bool callers_own = upstream.key.empty() && upstream.forward_credential;
  return upstream.name + "\n" + upstream.identity + "\n" + (callers_own ? prepared.caller : std::string());
}

bool reads_billing_header(const prompt_cache::Provider& provider) {
  constexpr std::array<std::string_view, 4> kTheirs = {"anthropic", "bedrock_claude", "vertex_claude", "openrouter"};
  return std::find(kTheirs.begin(), kTheirs.end(), provider.id) != kTheirs.end();
}

bool takes_pings(const prompt_cache::Provider& provider) { return provider.id == "anthropic"; }

const prompt_cache::Provider& provider_of(const route::Upstream& upstream, const Prepared& prepared) {
  const auto& table = prompt_cache::Providers::built_in();
  if (!upstream.provider.empty())
    if (const prompt_cache::Provider* given = table.find(upstream.provider)) return *given;
  if (upstream.local != nullptr)
    if (const prompt_cache::Provider* own = table.find("payonce")) return *own;
  const bool anthropic = route::wire_of(prepared.dialect) == route::UpstreamKind::kAnthropic;
  return *table.detect(anthropic ? upstream.anthropic_base_url : upstream.base_url, prepared.model,
                       anthropic ? prompt_cache::Wire::kAnthropic : prompt_cache::Wire::kOpenAi);
}

}  // namespace payonce::pipeline
