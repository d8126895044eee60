// The order of one engine's batches, without sockets: what is missing is asked for again, what cannot be had makes
// all that is known void, since a removed block that nobody told of would be believed for ever.
//
// A publisher numbers its batches from 0. It keeps the last ones (vLLM: 10,000) and sends them again on demand; so
// from a number on, or all when it has them all since its start. Numbers that go back mean that it began anew.
// Threads: one (the subscriber's), but for stats().  Owner: Subscriber.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "kv_events/block_index.h"

namespace payonce::kv_events {

class Feed {
 public:
  // Asks the publisher for its batches from `first` on, and calls `take` for each that comes, in their order. True:
  // it said that these were all.
  using Replay = std::function<bool(uint64_t first, const std::function<void(uint64_t, std::string_view)>& take)>;
  // `replay` null: the engine offers none.
  Feed(const base::Clock& clock, BlockIndex& index, Replay replay)
      : clock_(clock), index_(index), replay_(std::move(replay)) {}

  void connected();     // what is known is void; all that the publisher still has is asked for
  void disconnected();  // the same, until it is connected again
  void came(uint64_t number, std::string_view payload);

  struct Stats {
    bool connected = false;
    uint64_t batches = 0;     // that were applied
    uint64_t gaps = 0;        // times that numbers were missing
    uint64_t lost = 0;        // batches that were missing and could not be had
    uint64_t restarts = 0;    // of the publisher
    uint64_t unreadable = 0;  // batches; each makes what is known void
    int64_t lag_ms = 0;       // of the latest: from the engine's clock to ours
    int64_t came_ms = 0;      // when, of ours; 0: none yet
  };
  Stats stats() const;

 private:
  bool catch_up();  // false: not all could be had
  void apply(uint64_t number, std::string_view payload, bool live);
  void restarted();

  const base::Clock& clock_;
  BlockIndex& index_;
  const Replay replay_;
  uint64_t next_ = 0;                  // the number that is expected
  std::optional<uint64_t> last_live_;  // that came unasked, over this connection
  std::optional<uint64_t> last_;       // that was applied, over any
  mutable std::mutex mutex_;
  Stats stats_;  // guarded by mutex_
};

}  // namespace payonce::kv_events
