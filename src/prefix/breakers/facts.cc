#include "prefix/breakers/facts.h"

#include <algorithm>

namespace payonce::prefix {
namespace {

int64_t seconds_of(const prompt_cache::TtlClass& ttl) {
  constexpr int64_t kUntilEvicted_s = 3600;  // what the provider does not promise is not counted on for longer
  return ttl.ttl_ms > 0 ? ttl.ttl_ms / 1000 : kUntilEvicted_s;
}

}  // namespace

ProviderFacts facts_of(const prompt_cache::Rule& rule) {
  const prompt_cache::Provider& provider = *rule.provider;
  const bool written = provider.match == prompt_cache::Match::kWrittenPositions;
  const auto& all = provider.invalidates.all;
  return {.minimum_tokens = static_cast<uint32_t>(rule.min_tokens),
          .look_back = written && provider.lookback_of == prompt_cache::LookbackOf::kPositions
                           ? static_cast<uint32_t>(provider.lookback)
                           : 0,
          .max_breakpoints = static_cast<uint32_t>(provider.max_breakpoints),
          .short_ttl_s = seconds_of(rule.short_ttl),
          .long_ttl_s = seconds_of(rule.long_ttl),
          .read_factor = rule.read_factor,
          .short_write_factor = rule.short_ttl.write_factor,
          .long_write_factor = rule.long_ttl.write_factor,
          .requests_per_minute = static_cast<uint32_t>(provider.rate_per_minute),
          .needs_markers = written && provider.automatic != prompt_cache::Automatic::kImplicit,
          .parameters_break_tools = std::any_of(
              all.begin(), all.end(), [](const std::string& name) { return name.starts_with("reasoning"); })};
}

ProviderFacts default_facts(llm::Dialect dialect, std::string_view model) {
  const bool anthropic = llm::is_anthropic(dialect) || model.find("claude") != std::string_view::npos;
  const prompt_cache::Provider& provider = *prompt_cache::Providers::built_in().detect(
      "", model, anthropic ? prompt_cache::Wire::kAnthropic : prompt_cache::Wire::kOpenAi);
  return facts_of(prompt_cache::rule_for(provider, model));
}

}  // namespace payonce::prefix
