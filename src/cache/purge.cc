#include "cache/purge.h"

#include <algorithm>

namespace payonce::cache {
namespace {

bool has_tag(std::string_view versions, std::string_view tag) {
  constexpr std::string_view kSeparators = ",;\n\t ";
  while (!versions.empty()) {
    const size_t end = versions.find_first_of(kSeparators);
    if (versions.substr(0, end) == tag) return true;
    if (end == std::string_view::npos) return false;
    versions.remove_prefix(end + 1);
  }
  return false;
}

}  // namespace

Purge Purge::from(const PurgeFilter& filter, int64_t now_ms) {
  Purge purge;
  purge.key = filter.key;
  purge.scope = filter.scope;
  purge.version = filter.version;
  purge.model = filter.model;
  constexpr int64_t kMaxAgeS = kAnyAge / 2000;  // keeps the product in range
  if (filter.older_than_s >= 0) purge.created_until_ms = now_ms - std::min(filter.older_than_s, kMaxAgeS) * 1000;
  return purge;
}

bool Purge::is_one_key() const {
  return !key.empty() && !key.ends_with('*') && scope.empty() && version.empty() && model.empty() &&
         created_until_ms == kAnyAge;
}

bool matches(const Purge& purge, const Traits& traits) {
  if (traits.created_ms > purge.created_until_ms) return false;
  if (!purge.scope.empty() && traits.scope != purge.scope) return false;
  if (!purge.model.empty() && traits.model != purge.model) return false;
  if (!purge.version.empty() && !has_tag(traits.versions, purge.version)) return false;
  if (purge.key.empty()) return true;
  if (purge.key.ends_with('*'))
    return traits.key.starts_with(std::string_view(purge.key).substr(0, purge.key.size() - 1));
  return traits.key == purge.key;
}

}  // namespace payonce::cache
