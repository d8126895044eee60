// The last request of each live session, so that a call which summarises one can be told, and sent behind the prefix
// that the provider has. Threads: all any (one lock).  Bounded by bytes: sessions that were not seen for longest are
// forgotten.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/hash.h"
#include "base/lru_map.h"
#include "prefix/prompt/prompt.h"

namespace payonce::prefix {

inline constexpr size_t kMinLine_bytes = 24;  // a shorter line says nothing of where it is from

class LiveSessions {
 public:
  explicit LiveSessions(size_t max_bytes) : sessions_(max_bytes) {}

  // `owner`: account and scope; no session of one is ever found for another.
  void remember(const base::Hash128& owner, const Prompt& prompt, const base::KeyedHash& hash);

  struct Found {
    base::Bytes body;  // as the client sent it
    llm::Dialect dialect{};
    uint32_t messages = 0;  // so many of the call's messages are the session's, from the first one on
  };
  // The session with most of the call's messages.
  std::optional<Found> with_messages(const base::Hash128& owner, const Prompt& call) const;
  // The session most of whose lines stand in a text; `messages`: of the session, up to the last that is in it.
  std::optional<Found> in_text(const base::Hash128& owner, const Prompt& call, std::string_view text) const;

  size_t size() const;
  size_t bytes() const;

 private:
  struct Message {
    base::Hash128 value;
    // Hashes of the long ones, of what people and the model said: they find a session, the rewrite is proved.
    std::shared_ptr<const std::vector<uint64_t>> lines;
  };
  struct Session {
    base::Hash128 owner;
    std::string model;
    llm::Dialect dialect{};
    base::Bytes body;
    std::vector<Message> messages;
  };
  using SessionPtr = std::shared_ptr<const Session>;
  std::vector<SessionPtr> candidates(const base::Hash128& owner, const Prompt& call) const;

  mutable std::mutex mutex_;
  base::LruMap<SessionPtr> sessions_;  // guarded by mutex_
};

}  // namespace payonce::prefix
