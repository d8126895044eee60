#include "route/prefix_memory.h"

namespace payonce::route {
namespace {

base::Hash128 key_of(const Link& link, const base::Hash128& account) {
  return {link.hash.low ^ account.low, link.hash.high ^ account.high};
}

}  // namespace

Chain thinned(Chain chain) {
  size_t stride = 1;
  while (chain.size() / stride >= kMaxLinks) stride *= 2;
  if (stride == 1) return chain;
  Chain out;
  out.reserve(kMaxLinks);
  for (size_t i = stride - 1; i + 1 < chain.size(); i += stride) out.push_back(chain[i]);
  out.push_back(chain.back());
  return out;
}

PrefixMemory::Found PrefixMemory::find(std::span<const Link> chain, const base::Hash128& account, int64_t ttl_ms,
                                       int64_t now_ms) {
  Found found;
  size_t low = 0, high = chain.size();  // chain[low - 1] is there, chain[high] is not
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const Use* use = uses_.peek(key_of(chain[middle], account));
    if (use == nullptr || (ttl_ms > 0 && now_ms - use->at_ms > ttl_ms)) {
      high = middle;
      continue;
    }
    found = {.links = middle + 1, .tokens = chain[middle].tokens, .used_ms = use->at_ms, .served = use->served};
    low = middle + 1;
  }
  return found;
}

void PrefixMemory::use(std::span<const Link> chain, const base::Hash128& account, State state, int64_t now_ms) {
  for (size_t i = chain.size(); i-- > 0;) {  // the front last: it goes last
    const base::Hash128 key = key_of(chain[i], account);
    if (Use* known = uses_.find(key))
      *known = {now_ms, known->served || state == State::kServed};
    else
      uses_.insert(key, {now_ms, state == State::kServed}, chain[i].tokens - (i > 0 ? chain[i - 1].tokens : 0));
  }
  trim();
}

void PrefixMemory::set_capacity(uint64_t tokens) {
  capacity_tokens_ = tokens;
  trim();
}

void PrefixMemory::trim() {
  while (uses_.size() > max_positions_ || (uses_.weight() > capacity_tokens_ && uses_.size() > 0))
    uses_.drop_oldest();
}

void PrefixMemory::forget(std::span<const Link> chain, const base::Hash128& account, size_t keep) {
  for (size_t i = keep; i < chain.size(); ++i) uses_.erase(key_of(chain[i], account));
}

void PrefixMemory::forget_not_used_after(int64_t used_ms) {
  while (const Use* oldest = uses_.oldest()) {
    if (oldest->at_ms > used_ms) return;
    uses_.drop_oldest();
  }
}

void PrefixMemory::shrink_to(uint64_t tokens) {
  while (uses_.weight() > tokens) {
    const Use* oldest = uses_.oldest();
    if (oldest == nullptr || !oldest->served) return;
    uses_.drop_oldest();
  }
}

}  // namespace payonce::route
