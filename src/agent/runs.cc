#include "agent/runs.h"

#include <algorithm>
#include <utility>

namespace payonce::agent {
namespace {

constexpr int64_t kSweep_ms = 1'000;  // how often runs are looked through for values that nobody wants any more
// What a table's node costs, and what was made of a question to be compared; that is still being filled in by others.
constexpr size_t kNode_bytes = 128, kMeaning_bytes = 8192;

size_t bytes_of(const Question& question) {
  size_t out = sizeof question + question.versions.size() + question.tools_tag.size() + question.run.size() +
               question.model.size() + question.text.size() + question.text_part.size();
  for (const Part& part : question.parts) out += sizeof part + part.name.size();
  for (const Dependency& dep : question.deps) out += sizeof dep + dep.name.size() + dep.value.size();
  return out;
}

}  // namespace

size_t Ticket::bytes() const {
  return sizeof *this + 2 * (kNode_bytes + id.size() + key.size()) + weight_of(observed) + bytes_of(*question) +
         (by_meaning ? kMeaning_bytes : 0);
}

size_t Pending::bytes() const {
  return sizeof *this + kNode_bytes + value.size() + entry->weight() + (by_meaning ? kMeaning_bytes : 0);
}

void Runs::release_locked(const std::string& key, bool published, Wakes& woken) {
  const auto lease = leases_.find(key);
  if (lease == leases_.end()) return;
  const bool last = --lease->second.open == 0;
  if (!last && !published) return;
  std::move(lease->second.waiting.begin(), lease->second.waiting.end(), std::back_inserter(woken));
  lease->second.waiting.clear();
  if (last) leases_.erase(lease);
}

void Runs::release(const std::string& key, bool published) {
  Wakes woken;
  {
    const std::lock_guard lock(mutex_);
    release_locked(key, published, woken);
  }
  wake(woken);
}

void Runs::remove_locked(Tickets::iterator ticket) {
  ticket_bytes_ -= ticket->bytes();
  by_id_.erase(ticket->id);
  tickets_.erase(ticket);
}

void Runs::close_locked(Tickets::iterator ticket, Wakes& woken) {
  release_locked(ticket->key, false, woken);
  remove_locked(ticket);
}

// One credential's flood takes no other's tickets, if it can be helped.
void Runs::make_room_locked(const std::string& credential, size_t bytes, Wakes& woken) {
  while (!tickets_.empty() && ticket_bytes_ + bytes > max_bytes_) {
    const auto own = std::find_if(tickets_.begin(), tickets_.end(),
                                  [&](const Ticket& t) { return t.caller.credential_id == credential; });
    close_locked(own != tickets_.end() ? own : tickets_.begin(), woken);
  }
}

void Runs::expire_locked(Wakes& woken) {
  const int64_t now_ms = clock_.monotonic_us() / 1000;
  while (!tickets_.empty() && tickets_.front().expires_ms <= now_ms) close_locked(tickets_.begin(), woken);
  if (now_ms < next_sweep_ms_) return;
  next_sweep_ms_ = now_ms + kSweep_ms;
  for (auto run = runs_.begin(); run != runs_.end();) {
    std::erase_if(run->second, [&](const auto& one) {
      if (one.second.expires_ms > now_ms) return false;
      pending_bytes_ -= one.second.bytes();
      return true;
    });
    run = run->second.empty() ? runs_.erase(run) : std::next(run);
  }
}

bool Runs::open(const Ticket& ticket, bool alone) {
  Wakes woken;
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    expire_locked(woken);
    first = !leases_.contains(ticket.key);
    const size_t bytes = ticket.bytes();
    if ((first || !alone) && bytes <= max_bytes_) {
      make_room_locked(ticket.caller.credential_id, bytes, woken);
      tickets_.push_back(ticket);
      ticket_bytes_ += bytes;
      by_id_[ticket.id] = std::prev(tickets_.end());
      ++leases_[ticket.key].open;
    }
  }
  wake(woken);
  return first;
}

std::optional<Ticket> Runs::take(const std::string& id, std::string_view credential) {
  Wakes woken;
  std::optional<Ticket> out;
  {
    const std::lock_guard lock(mutex_);
    expire_locked(woken);
    const auto found = by_id_.find(id);
    if (found != by_id_.end() && found->second->caller.credential_id == credential) {
      out = *found->second;
      remove_locked(found->second);
    }
  }
  wake(woken);
  return out;
}

bool Runs::is_open(const std::string& key) {
  const std::lock_guard lock(mutex_);
  return leases_.contains(key);
}

void Runs::when_closed(const std::string& key, std::function<void()> wake) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto lease = leases_.find(key); lease != leases_.end()) {
      lease->second.waiting.push_back(std::move(wake));
      return;
    }
  }
  wake();
}

bool Runs::keep(const std::string& run, Pending pending) {
  Wakes woken;
  bool kept = false;
  {
    const std::lock_guard lock(mutex_);
    expire_locked(woken);
    pending.expires_ms = clock_.monotonic_us() / 1000 + kTtl_ms;
    auto& entries = runs_[{pending.entry->credential, run}];
    const auto before = entries.find(pending.entry->key);
    const uint64_t freed = before == entries.end() ? 0 : before->second.bytes();
    kept = pending_bytes_ - freed + pending.bytes() <= max_bytes_;
    if (kept) {
      pending_bytes_ += pending.bytes() - freed;
      entries[pending.entry->key] = std::move(pending);
    }
  }
  wake(woken);
  return kept;
}

std::optional<Pending> Runs::pending(std::string_view credential, const std::string& run, const std::string& key) {
  const std::lock_guard lock(mutex_);
  const auto found = runs_.find({std::string(credential), run});
  if (found == runs_.end()) return std::nullopt;
  const auto entry = found->second.find(key);
  if (entry == found->second.end() || entry->second.expires_ms <= clock_.monotonic_us() / 1000) return std::nullopt;
  return entry->second;
}

std::vector<Pending> Runs::take_run(std::string_view credential, const std::string& run) {
  std::vector<Pending> out;
  const std::lock_guard lock(mutex_);
  const auto found = runs_.find({std::string(credential), run});
  if (found == runs_.end()) return out;
  const int64_t now_ms = clock_.monotonic_us() / 1000;
  for (auto& [key, pending] : found->second) {
    pending_bytes_ -= pending.bytes();
    if (pending.expires_ms > now_ms) out.push_back(std::move(pending));
  }
  runs_.erase(found);
  return out;
}

void Runs::drop_tickets(std::string_view credential, const std::function<bool(const Ticket&)>& is) {
  Wakes woken;
  {
    const std::lock_guard lock(mutex_);
    for (auto ticket = tickets_.begin(); ticket != tickets_.end();) {
      const auto next = std::next(ticket);
      if (ticket->caller.credential_id == credential && is(*ticket)) close_locked(ticket, woken);
      ticket = next;
    }
  }
  wake(woken);
}

uint64_t Runs::drop_pending(std::string_view credential, const std::function<bool(const Pending&)>& is) {
  uint64_t dropped = 0;
  const std::lock_guard lock(mutex_);
  for (auto run = runs_.begin(); run != runs_.end();) {
    if (run->first.first == credential)
      dropped += std::erase_if(run->second, [&](const auto& one) {
        if (!is(one.second)) return false;
        pending_bytes_ -= one.second.bytes();
        return true;
      });
    run = run->second.empty() ? runs_.erase(run) : std::next(run);
  }
  return dropped;
}

}  // namespace payonce::agent
