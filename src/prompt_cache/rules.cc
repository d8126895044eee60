#include "prompt_cache/rules.h"

#include "base/ascii.h"
#include "base/wildcard.h"

namespace payonce::prompt_cache {
namespace {

bool equal_letters(char a, char b) { return base::lower(a) == base::lower(b); }

}  // namespace

std::string_view own_name(std::string_view model) {
  const size_t slash = model.rfind('/');
  return slash == std::string_view::npos ? model : model.substr(slash + 1);
}

bool matches(std::string_view pattern, std::string_view text) {
  return base::matches_wildcard(pattern, text, equal_letters);
}

Rule rule_for(const Provider& provider, std::string_view model) {
  model = own_name(model);
  std::optional<int64_t> min_tokens, increment;
  std::optional<double> read;
  for (const ModelRule& row : provider.models) {
    if (!matches(row.pattern, model)) continue;
    if (!min_tokens) min_tokens = row.min_tokens;
    if (!increment) increment = row.increment_tokens;
    if (!read) read = row.read_factor;
  }
  Rule rule;
  rule.provider = &provider;
  rule.min_tokens = min_tokens.value_or(provider.min_tokens);
  rule.increment_tokens = increment.value_or(provider.increment_tokens);
  rule.read_factor = read.value_or(provider.read_factor);
  rule.short_ttl = provider.short_ttl ? *provider.short_ttl : provider.long_ttl.value_or(TtlClass{});
  rule.long_ttl = provider.long_ttl.value_or(rule.short_ttl);
  rule.default_ttl = provider.default_ttl;
  return rule;
}

double Rule::storage_usd_per_mtok_hour(std::string_view model, int64_t unix_ms) const {
  double out = 0;
  for (const StoragePrice& row : provider->storage)
    if (matches(row.pattern, own_name(model)) && row.from_ms <= unix_ms) out = row.usd_per_mtok_hour;
  return out;
}

const Provider* Providers::find(std::string_view id) const {
  for (const Provider& row : rows_)
    if (row.id == id) return &row;
  return nullptr;
}

std::string_view match_name(Match match) {
  switch (match) {
    case Match::kWrittenPositions: return "written positions";
    case Match::kLongestCommonPrefix: return "common prefix";
    case Match::kPersistedUnits: return "persisted units";
    case Match::kNone: break;
  }
  return "none";
}

std::string_view marker_name(Marker marker) {
  switch (marker) {
    case Marker::kCacheControl: return "cache_control";
    case Marker::kPromptCacheBreakpoint: return "prompt_cache_breakpoint";
    case Marker::kCachePoint: return "cachePoint";
    case Marker::kCachedContent: return "cachedContent";
    case Marker::kNone: break;
  }
  return "none";
}

std::string_view level_name(Level level) {
  return level == Level::kTools ? "tools" : level == Level::kSystem ? "system" : "messages";
}

}  // namespace payonce::prompt_cache
