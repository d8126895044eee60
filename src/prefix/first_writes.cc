#include "prefix/first_writes.h"

#include <utility>

namespace payonce::prefix {

uint64_t FirstWrites::begin(const std::vector<base::Hash128>& chains) {
  const std::lock_guard lock(mutex_);
  const uint64_t ticket = ++last_ticket_;
  std::vector<base::Hash128> own;
  for (const base::Hash128& chain : chains)
    if (writers_.try_emplace(chain, Writer{.ticket = ticket}).second) own.push_back(chain);
  if (!own.empty()) of_ticket_.emplace(ticket, std::move(own));
  return ticket;
}

void FirstWrites::done(uint64_t ticket) {
  std::vector<std::function<void()>> waiting;
  {
    const std::lock_guard lock(mutex_);
    const auto own = of_ticket_.find(ticket);
    if (own == of_ticket_.end()) return;
    for (const base::Hash128& chain : own->second) {
      const auto writer = writers_.find(chain);
      for (auto& then : writer->second.waiting) waiting.push_back(std::move(then));
      writers_.erase(writer);
    }
    of_ticket_.erase(own);
  }
  for (const auto& then : waiting) then();
}

bool FirstWrites::is_written_now(const base::Hash128& chain) const {
  const std::lock_guard lock(mutex_);
  return writers_.contains(chain);
}

bool FirstWrites::wait(const base::Hash128& chain, std::function<void()> then) {
  const std::lock_guard lock(mutex_);
  const auto writer = writers_.find(chain);
  if (writer == writers_.end()) return false;
  writer->second.waiting.push_back(std::move(then));
  return true;
}

}  // namespace payonce::prefix
