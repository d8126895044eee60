#include "prefix/gate/provider_model.h"

namespace payonce::prefix {

bool ProviderModel::live(const base::Hash128& chain, int64_t now_ms) const {
  const auto at = touched_ms_.find(chain);
  return at != touched_ms_.end() && now_ms - at->second <= ttl_ms_;
}

void ProviderModel::drop_dead(int64_t now_ms) {
  if (touched_ms_.size() < drop_at_) return;
  std::erase_if(touched_ms_, [&](const auto& entry) { return now_ms - entry.second > ttl_ms_; });
  drop_at_ = 2 * touched_ms_.size() + 4096;
}

Billed ProviderModel::bill(const Outline& prompt, std::span<const uint32_t> marks) {
  drop_dead(prompt.now_ms);
  size_t read = 0;  // positions
  if (reading_ == Reading::kAnyWritten) {
    for (read = prompt.positions.size(); read > 0; --read)
      if (live(prompt.positions[read - 1].chain, prompt.now_ms)) break;
  } else {
    for (size_t i = marks.size(); i-- > 0 && read == 0;)
      if (live(prompt.positions[marks[i]].chain, prompt.now_ms)) read = marks[i] + 1;
  }
  const uint32_t read_tokens = read == 0 ? 0 : prompt.positions[read - 1].tokens;
  const uint32_t marked = marks.empty() ? 0 : prompt.positions[marks.back()].tokens;
  const uint32_t written = marked > read_tokens ? marked - read_tokens : 0;
  if (read > 0) touched_ms_[prompt.positions[read - 1].chain] = prompt.now_ms;
  for (const uint32_t mark : marks) touched_ms_[prompt.positions[mark].chain] = prompt.now_ms;
  return {.read = read_tokens, .written = written, .fresh = prompt.input_tokens - read_tokens - written};
}

void Hindsight::close(const Chain& chain, Billed& into) const {
  const double worth = chain.uses * (1 - prices_.read) - (prices_.write - 1);
  if (chain.uses == 0 || worth <= 0) return;
  into.written += chain.tokens;
  into.read += uint64_t{chain.uses} * chain.tokens;
}

void Hindsight::saw(const Outline& prompt) {
  tokens_ += prompt.input_tokens;
  uint32_t before = 0;
  for (const Position& position : prompt.positions) {
    Chain& chain = chains_[position.chain];
    if (chain.tokens != 0 && prompt.now_ms - chain.last_ms <= ttl_ms_) {
      ++chain.uses;
    } else {
      close(chain, closed_);
      chain = {.last_ms = 0, .tokens = position.tokens - before, .uses = 0};
    }
    chain.last_ms = prompt.now_ms;
    before = position.tokens;
  }
}

Billed Hindsight::billed() const {
  Billed out = closed_;
  for (const auto& [hash, chain] : chains_) close(chain, out);
  out.fresh = tokens_ - out.read - out.written;
  return out;
}

}  // namespace payonce::prefix
