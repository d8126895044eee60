#include "prefix/spelling_book.h"

#include "prefix/prompt/unit.h"

namespace payonce::prefix {
namespace {

constexpr size_t kOverhead_bytes = 128;  // of an entry, beside its text

}  // namespace

std::array<std::unique_ptr<SpellingBook::Shard>, SpellingBook::kShards> SpellingBook::make(size_t bytes_each) {
  std::array<std::unique_ptr<Shard>, kShards> out;
  for (auto& shard : out) shard = std::make_unique<Shard>(bytes_each);
  return out;
}

Spelling SpellingBook::first(const base::Hash128& account_and_value, std::string_view json) {
  Shard& shard = *shards_[account_and_value.high % kShards];
  Spelling known;
  {
    const std::lock_guard lock(shard.mutex);
    if (const Spelling* found = shard.spellings.find(account_and_value)) {
      known = *found;
    } else {
      shard.spellings.insert(account_and_value, std::make_shared<const std::string>(json),
                             json.size() + kOverhead_bytes);
      return nullptr;
    }
  }
  return *known == json || !same_unit(*known, json) ? nullptr : known;
}

size_t SpellingBook::bytes() const {
  size_t out = 0;
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    out += shard->spellings.weight();
  }
  return out;
}

}  // namespace payonce::prefix
