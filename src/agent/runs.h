// What is not published yet: tickets of lookups that missed, values that wait for the end of their run, and who waits
// for whose ticket. All in memory, bounded, and gone after a while.
//
// A ticket is a lease on its key: while it is open, another caller of the key may wait for it (single flight). It is
// never exclusive: a caller that does not wait gets a ticket of its own.
// Threads: all any. A wake-up is called outside the lock.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "agent/entry.h"
#include "agent/question.h"
#include "base/clock.h"
#include "pipeline/asked_question.h"

namespace payonce::agent {

struct Ticket {
  std::string id;  // "t-…", random
  std::string key;
  QuestionPtr question;
  Caller caller;
  std::vector<Observed> observed;         // of the dependencies that the lookup named
  pipeline::AskedQuestionPtr by_meaning;  // null: it was not looked up by meaning
  int64_t expires_ms = 0;                 // monotonic

  size_t bytes() const;  // of memory, about
};

struct Pending {
  EntryPtr entry;
  base::Bytes value;
  pipeline::AskedQuestionPtr by_meaning;
  int64_t expires_ms = 0;  // monotonic

  size_t bytes() const;  // of memory, about
};

class Runs {
 public:
  static constexpr int64_t kTtl_ms = 900'000;
  // `max_bytes`: of tickets, beyond which the oldest of the same credential expire (one that is larger by itself was
  // never open); and of values that wait, beyond which no more are taken.
  explicit Runs(const base::Clock& clock, uint64_t max_bytes = 256u << 20) : clock_(clock), max_bytes_(max_bytes) {}

  // Whether no other ticket of its key is open. `alone`: it is opened only then.
  bool open(const Ticket& ticket, bool alone = false);
  // Takes it away; its lease on the key holds until release(). nullopt: unknown, used, expired, or another
  // credential's.
  std::optional<Ticket> take(const std::string& id, std::string_view credential);
  // `published`: whoever waits for the key may look again, though others compute it, too.
  void release(const std::string& key, bool published);
  bool is_open(const std::string& key);  // some caller computes it
  // Calls `wake` once when the key was published or no ticket of it is open any more, or at once.
  void when_closed(const std::string& key, std::function<void()> wake);

  // False: no room.
  bool keep(const std::string& run, Pending pending);
  std::optional<Pending> pending(std::string_view credential, const std::string& run, const std::string& key);
  // All of a run, taken away: to be published, or dropped.
  std::vector<Pending> take_run(std::string_view credential, const std::string& run);
  // The run's open tickets as well.
  void drop_tickets(std::string_view credential, const std::function<bool(const Ticket&)>& is);
  uint64_t drop_pending(std::string_view credential, const std::function<bool(const Pending&)>& is);

 private:
  using RunKey = std::pair<std::string, std::string>;  // credential, run
  using Wakes = std::vector<std::function<void()>>;
  struct Lease {
    size_t open = 0;
    Wakes waiting;
  };
  using Tickets = std::list<Ticket>;  // the oldest first
  void remove_locked(Tickets::iterator ticket);
  void close_locked(Tickets::iterator ticket, Wakes& woken);
  void make_room_locked(const std::string& credential, size_t bytes, Wakes& woken);
  void release_locked(const std::string& key, bool published, Wakes& woken);
  void expire_locked(Wakes& woken);
  static void wake(const Wakes& woken) {
    for (const auto& one : woken) one();
  }

  const base::Clock& clock_;
  const uint64_t max_bytes_;
  std::mutex mutex_;  // guards all below
  Tickets tickets_;
  std::unordered_map<std::string, Tickets::iterator> by_id_;
  std::unordered_map<std::string, Lease> leases_;  // by key
  std::map<RunKey, std::map<std::string, Pending>> runs_;
  uint64_t ticket_bytes_ = 0, pending_bytes_ = 0;
  int64_t next_sweep_ms_ = 0;
};

}  // namespace payonce::agent
