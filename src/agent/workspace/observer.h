// How dependencies look now. The fast way to know is a stat of each file and a look at inotify's queue for trees; the
// bytes are read where these say that something may have changed.
// Threads: all any. May read files: not for an event loop.  Owner: the agent cache.
// Errors: what cannot be looked at (not readable, too large) is an Error, which no caller may take for "unchanged".
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "agent/workspace/dependency.h"
#include "agent/workspace/file_state.h"
#include "agent/workspace/tree_watch.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/lru_map.h"
#include "base/result.h"

namespace payonce::agent {

class Observer {
 public:
  explicit Observer(const base::Clock& clock) : clock_(clock) {}

  // kValue and kTool: what the caller says.
  base::Result<std::string> state(const Dependency& dependency);
  // Those of `seen` that look different now. `given`: values and tools that this caller names; one that it does not
  // name has not changed.
  std::vector<Dependency> changed(std::span<const Observed> seen, std::span<const Dependency> given);

 private:
  struct Tree {
    uint64_t mark = 0;
    int64_t seen_ms = 0;  // monotonic
    std::string state;
  };
  base::Result<std::string> tree_state(const Dependency& dependency);

  const base::Clock& clock_;
  const base::KeyedHash hash_;
  FileStates files_;
  TreeWatch names_, repositories_;
  std::mutex mutex_;
  base::LruMap<Tree> trees_{256};  // guarded by mutex_
};

}  // namespace payonce::agent
