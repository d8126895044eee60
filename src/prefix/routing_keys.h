// prompt_cache_key: equal prefixes should carry equal keys, whatever session they are of, and no key more requests a
// minute than a provider keeps on one machine. A site's key is the first one that its client sent, or one made of the
// site where the client sends none; so nothing changes in the middle of a session.
// Threads: all any (one lock).  Bounded.
// Source: OpenAI's guide on prompt caching (2026-09): routing by prefix and key, about 15 requests a minute of both.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/little_endian.h"
#include "base/lru_map.h"

namespace payonce::prefix {

class RoutingKeys {
 public:
  // `given`: the client's; empty: none. `session`: of the conversation. `rate_per_minute`: 0: not known.
  std::string key_for(const base::Hash128& site, std::string_view given, const base::Hash128& session,
                      int64_t rate_per_minute, int64_t now_ms);

  void save(std::string& out);
  bool load(base::NumberReader& from);

 private:
  struct Site {
    std::string key;
    int64_t minute = 0;    // since 1970
    int64_t requests = 0;  // in this minute
    int64_t ways = 1;      // keys in use
  };
  std::mutex mutex_;
  base::LruMap<Site> sites_{4096};  // guarded by mutex_
};

}  // namespace payonce::prefix
