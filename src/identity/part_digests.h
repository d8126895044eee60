// Digests of the large parts of request bodies (tools, system text, each message), kept by the keyed hash of their
// raw bytes. An agent's turn repeats all but its last messages, so only those are canonicalised and hashed again.
// Each scope has its own: were they shared, the time that a request took would tell that another scope had sent this
// very part. Threads: all any.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string_view>

#include "base/hash.h"
#include "base/raw_key_map.h"

namespace payonce::identity {

class PartDigests {
 public:
  explicit PartDigests(size_t capacity = 16'384) : map_(capacity) {}

  struct Digest {
    base::Digest sha256{};      // of the part's canonical form
    bool profile_used = false;  // a rule of the agent's profile acted in it
  };
  // `place`: where the part stands; `rules`: dialect and profile. Both change the canonical form.
  base::Hash128 hash(std::string_view place, std::string_view rules, std::string_view scope,
                     std::string_view raw) const {
    return hash_.parts<4>({place, rules, scope, raw});
  }
  std::shared_ptr<const Digest> find(const base::Hash128& key) { return map_.find(key); }
  void insert(const base::Hash128& key, const Digest& digest) {
    map_.insert(key, std::make_shared<const Digest>(digest));
  }

 private:
  const base::KeyedHash hash_;
  base::RawKeyMap<Digest> map_;
};

}  // namespace payonce::identity
