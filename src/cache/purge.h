// What a purge removes, as it is kept in the log and applied to both tiers and to records that are read later.
// Threads: pure.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "cache/entry.h"
#include "cache/response_store.h"

namespace payonce::cache {

struct Purge {
  static constexpr int64_t kAnyAge = std::numeric_limits<int64_t>::max();
  std::string key;      // exact, or a prefix ending in '*'; empty: any (so for all below)
  std::string scope;    // exact
  std::string version;  // one tag
  std::string model;    // exact
  int64_t created_until_ms = kAnyAge;
  uint64_t sequence = 0;  // removes what has a lower one

  static Purge from(const PurgeFilter& filter, int64_t now_ms);
  // Names exactly one key and nothing else: applied by look-up instead of by a walk.
  bool is_one_key() const;
};

// What is known of an entry without reading its body.
struct Traits {
  std::string_view key, scope, versions, model;
  int64_t created_ms = 0;
  static Traits of(const Entry& entry) {
    return {.key = entry.key,
            .scope = entry.scope,
            .versions = entry.versions,
            .model = entry.model,
            .created_ms = entry.created_ms};
  }
};

bool matches(const Purge& purge, const Traits& traits);

}  // namespace payonce::cache
