// The first spelling of each tool, system text and message that went upstream, so that a client that writes its
// history anew (other key order, escapes, white space) sends the same bytes again. Values are told by hash and proved
// equal before one spelling is given for another. Threads: all any.  Bounded by bytes; what was not used for longest
// is forgotten (the next spelling is then the first).
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/lru_map.h"

namespace payonce::prefix {

using Spelling = std::shared_ptr<const std::string>;

class SpellingBook {
 public:
  explicit SpellingBook(size_t max_bytes = 64u << 20) : shards_(make(max_bytes / kShards)) {}

  // The spelling that this account sent first for `value`; null: `json` is the first, or the same, or cannot be
  // proved equal. `json` has no markers.
  Spelling first(const base::Hash128& account_and_value, std::string_view json);
  size_t bytes() const;

 private:
  static constexpr size_t kShards = 16;
  struct Shard {
    explicit Shard(size_t max_bytes) : spellings(max_bytes) {}
    mutable std::mutex mutex;
    base::LruMap<Spelling> spellings;  // guarded by mutex
  };
  static std::array<std::unique_ptr<Shard>, kShards> make(size_t bytes_each);

  const std::array<std::unique_ptr<Shard>, kShards> shards_;
};

}  // namespace payonce::prefix
